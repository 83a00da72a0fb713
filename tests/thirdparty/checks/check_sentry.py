"""sentry-sdk: patches classes and functions of the library it watches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.integrations.starlette import StarletteIntegration
from sentry_sdk.transport import Transport
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


class Pass:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


class Sink(Transport):
    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Any) -> None:
        for item in envelope.items:
            self.events.append(item.payload.json)


async def fail(request: Request) -> PlainTextResponse:
    await request.body()
    raise ValueError("unforeseen")


def fail_in_thread(request: Request) -> PlainTextResponse:
    raise ValueError("in a thread")


async def refuse(request: Request) -> PlainTextResponse:
    raise HTTPException(503)


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink()
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:9/1",
        transport=sink,
        traces_sample_rate=1.0,
        integrations=[StarletteIntegration()],
        auto_enabling_integrations=False,
        shutdown_timeout=0,
    )
    yield sink
    sentry_sdk.get_client().close()


def build_client(*middleware: Middleware) -> TestClient:
    routes = [
        Route("/fail/{id}", fail, methods=["POST"]),
        Route("/refuse", refuse),
        Mount("/m", routes=[Route("/thread/{id}", fail_in_thread)]),
    ]
    app = Starlette(routes=routes, middleware=middleware)
    return TestClient(app, raise_server_exceptions=False)


CHOICES = pytest.mark.parametrize(
    "middleware", [(), (Middleware(Pass),)], ids=["bare", "middleware"]
)


@CHOICES
def test_an_unhandled_exception_is_reported(sink: Sink, middleware: Any) -> None:
    response = build_client(*middleware).post("/fail/7", json={"a": 1})
    assert response.status_code == 500
    errors = [event for event in sink.events if "exception" in event]
    assert [event["exception"]["values"][-1]["value"] for event in errors] == ["unforeseen"]
    assert errors[0]["transaction"] == "/fail/{id}"
    assert errors[0]["request"]["method"] == "POST"
    assert errors[0]["request"]["data"] == {"a": 1}


@CHOICES
def test_a_thread_below_a_mount_is_reported(sink: Sink, middleware: Any) -> None:
    assert build_client(*middleware).get("/m/thread/7").status_code == 500
    errors = [event for event in sink.events if "exception" in event]
    assert [event["exception"]["values"][-1]["value"] for event in errors] == ["in a thread"]


@CHOICES
def test_a_handled_server_error_is_reported(sink: Sink, middleware: Any) -> None:
    assert build_client(*middleware).get("/refuse").status_code == 503
    errors = [event for event in sink.events if "exception" in event]
    assert [event["exception"]["values"][-1]["type"] for event in errors] == ["HTTPException"]


@CHOICES
def test_a_transaction_bears_the_template(sink: Sink, middleware: Any) -> None:
    build_client(*middleware).get("/refuse")
    names = [event["transaction"] for event in sink.events if event.get("type") == "transaction"]
    assert names == ["/refuse"]
