"""A limit for request bodies around an application that is mounted."""

from __future__ import annotations

from typing import Any

import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY, RequestBodyLimitMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Mount, Route
from framework.types import ASGIApp, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio


async def home(request: Request[Any]) -> Response:
    return PlainTextResponse("home")


async def broken(request: Request[Any]) -> Response:
    raise LookupError("broken")


class ReadFirst:
    """Middleware that reads the body, outside of the exception handlers of its application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Request(scope, receive).body()
        await self.app(scope, receive, send)


@pytest.mark.parametrize("headers", [[], [("content-length", "11")]])
async def test_the_limit_of_an_application_holds_for_the_middleware_of_one_below(
    headers: list[tuple[str, str]],
) -> None:
    below = App(routes=[Route("/", home, methods=["POST"])], middleware=[Middleware(ReadFirst)])
    app = App(routes=[Mount("/below", below)], max_body_size=10)
    channel = await call(app, build_scope("/below/", "POST", *headers), b"x" * 11)
    assert (channel.status, channel.headers[b"connection"]) == (413, b"close")


@pytest.mark.parametrize("path", ["/", "/below/"])
async def test_a_failure_under_a_body_that_is_too_long_stays_one(path: str) -> None:
    routes = [Route("/", broken, methods=["POST"])]
    app = App(routes=[*routes, Mount("/below", App(routes=routes))], max_body_size=10)
    channel = Channel(b"x" * 11)
    with pytest.raises(LookupError, match="broken"):
        await app(
            build_scope(path, "POST", ("content-length", "11")), channel.receive, channel.send
        )
    assert channel.status == 500


@pytest.mark.parametrize(
    ("method", "version", "headers", "is_counted"),
    [
        ("GET", "1.1", [], False),
        ("HEAD", "1.0", [], False),
        ("GET", "1.1", [("content-length", "3")], True),
        ("GET", "1.1", [("transfer-encoding", "chunked")], True),
        ("GET", "2", [], True),
        ("POST", "1.1", [], True),
    ],
)
async def test_only_what_may_bring_a_body_is_counted(
    method: str, version: str, headers: list[tuple[str, str]], is_counted: bool
) -> None:
    channel = Channel(b"x" * 11)
    seen: list[tuple[Receive, Send]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((receive, send))
        assert scope[MAX_BODY_SIZE_SCOPE_KEY] == 10
        await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)

    scope = build_scope("/", method, *headers, http_version=version)
    await RequestBodyLimitMiddleware(app, max_body_size=10)(scope, channel.receive, channel.send)
    assert channel.status == (413 if is_counted else 200)
    assert (seen == [(channel.receive, channel.send)]) is not is_counted
