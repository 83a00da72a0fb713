"""timing-asgi: names a timing after the route that matches."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from timing_asgi import TimingClient, TimingMiddleware
from timing_asgi.integrations import StarletteScopeToName


class Timings(TimingClient):
    def __init__(self) -> None:
        self.names: list[str] = []

    def timing(self, metric_name: str, timing: float, tags: list[str] | None = None) -> None:
        self.names.append(f"{metric_name} {sorted(tags or [])}")


def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("done")


def test_a_timing_bears_the_name_of_its_route(backend: str) -> None:
    inner = Starlette(routes=[Route("/x", answer)])
    app = Starlette(routes=[Route("/a/{id}", answer, name="one"), Mount("/m", inner, name="sub")])
    timings = Timings()
    namer = StarletteScopeToName(prefix="t", starlette_app=app)
    app.add_middleware(TimingMiddleware, client=timings, metric_namer=namer)
    client = TestClient(app, backend=backend)
    for path in ("/a/1", "/m/x", "/none"):
        client.get(path)
    walls = [name for name in timings.names if "time:wall" in name]
    assert walls == [
        f"t.{__name__}.one ['http_method:GET', 'http_status:200', 'time:wall']",
        "t.__mount__.sub ['http_method:GET', 'http_status:200', 'time:wall']",
        "t.none ['http_method:GET', 'http_status:404', 'time:wall']",
    ]


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:timing_asgi")
