"""slowapi: limits by decorator and by middleware, an exception handler, headers on responses."""

from __future__ import annotations

import pytest
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.middleware import SlowAPIASGIMiddleware, SlowAPIMiddleware
from slowapi.util import get_remote_address
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:slowapi")


def build_app(middleware: type | None) -> Starlette:
    limiter = Limiter(get_remote_address, default_limits=["3/hour"], headers_enabled=True)

    @limiter.limit("1/hour")
    async def strict(request: Request) -> PlainTextResponse:
        return PlainTextResponse("strict")

    @limiter.limit("2/hour")
    def in_thread(request: Request) -> PlainTextResponse:
        return PlainTextResponse("thread")

    async def plain(request: Request) -> PlainTextResponse:
        return PlainTextResponse("plain")

    routes = [
        Route("/strict", strict),
        Mount("/m", routes=[Route("/thread", in_thread)]),
        Route("/plain", plain),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(middleware)] if middleware else [])
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return app


@pytest.mark.parametrize("middleware", [None, SlowAPIMiddleware, SlowAPIASGIMiddleware])
def test_a_decorated_endpoint_is_limited(middleware: type | None) -> None:
    client = TestClient(build_app(middleware))
    assert client.get("/strict").headers["x-ratelimit-limit"] == "1"
    refused = client.get("/strict")
    assert (refused.status_code, refused.json()) == (
        429,
        {"error": "Rate limit exceeded: 1 per 1 hour"},
    )
    assert [client.get("/m/thread").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize("middleware", [SlowAPIMiddleware, SlowAPIASGIMiddleware])
def test_the_middleware_limits_every_route(middleware: type) -> None:
    client = TestClient(build_app(middleware))
    responses = [client.get("/plain") for _ in range(4)]
    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert responses[0].headers["x-ratelimit-remaining"] == "2"
