"""sentry-sdk on FastAPI: classes patched below, a function patched in FastAPI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from sentry_sdk.integrations.fastapi import FastApiIntegration
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import Transport


class Sink(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += [item.payload.json for item in envelope.items]


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=sink,
        integrations=[StarletteIntegration(), FastApiIntegration()],
        auto_enabling_integrations=False,
        shutdown_timeout=0,
    )
    yield sink
    sentry_sdk.get_client().close()


def build_app() -> FastAPI:
    app = FastAPI()

    @app.post("/fail/{number}")
    async def fail(number: int, data: dict[str, int]) -> None:
        raise ValueError("unforeseen")

    @app.get("/refuse")
    def refuse() -> None:
        raise HTTPException(503)

    return app


def test_failures_are_reported_with_body_and_template(sink: Sink) -> None:
    client = TestClient(build_app(), raise_server_exceptions=False)
    assert client.post("/fail/7", json={"a": 1}).status_code == 500
    assert client.get("/refuse").status_code == 503
    first, second = sink.events
    assert first["exception"]["values"][-1]["value"] == "unforeseen"
    assert (first["transaction"], first["request"]["data"]) == ("/fail/{number}", {"a": 1})
    assert second["exception"]["values"][-1]["type"] == "HTTPException"
