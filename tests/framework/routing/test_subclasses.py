"""Subclasses of routes and routers, and methods that are replaced on the class."""

from __future__ import annotations

from typing import Any

import pytest
import starlette.routing
import wrapt
from starlette.applications import Starlette

from framework import routing
from framework.applications import App
from framework.middleware import Middleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Match, Mount, Route, Router
from framework.types import ASGIApp, Receive, Scope, Send
from tests.framework.asgi import build_scope, call
from tests.framework.routing.endpoints import answer, fetch

pytestmark = pytest.mark.anyio


class RefuseAll:
    """Middleware that lets nothing through."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("refused", 403)(scope, receive, send)


class LoudRoute(Route):
    """A subclass with its own `handle`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_params"] = {**scope["path_params"], "loud": True}
        await super().handle(scope, receive, send)


class NarrowRoute(Route):
    """A subclass with its own `matches`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if (b"x-open", b"sesame") not in scope["headers"]:
            return Match.NONE, {}
        return super().matches(scope)


@pytest.mark.parametrize("template", ["/a", "/{x}", "/{x:path}"])
async def test_subclasses_of_route_keep_their_own_ways(template: str) -> None:
    loud = App(routes=[LoudRoute(template, answer("loud"))])
    assert "'loud': True" in await fetch(loud, "/a")
    narrow = App(routes=[NarrowRoute(template, answer("narrow")), Route("/a", answer("wide"))])
    assert await fetch(narrow, "/a") == "200 wide {}"
    channel = await call(narrow, build_scope("/a", "GET", ("x-open", "sesame")))
    assert channel.body.startswith(b"narrow")


class OwnAttributes(Route):
    """A subclass with attributes that could be ours."""

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        self.handler = self.find = self.direct = endpoint
        super().__init__(path, self.run, **options)

    async def run(self, request: Request[Any]) -> Response:
        response: Response = await self.handler(request)
        response.headers["x-run"] = "yes"
        return response


class OwnFind(Router):
    """The same of a router."""

    has_middleware = True

    def find(self, name: str) -> str:
        return name


async def test_attributes_of_subclasses_are_their_own() -> None:
    refusal = [Middleware(RefuseAll)]
    routes = [
        OwnAttributes("/a", answer("a")),
        OwnAttributes("/refused", answer("never"), middleware=refusal),
        Mount("/in", OwnFind([Route("/b", answer("b"))])),
    ]
    for app in (App(routes=routes), OwnFind(routes)):
        channel = await call(app, build_scope("/a"))
        assert (channel.body, channel.headers[b"x-run"]) == (b"a {}", b"yes")
        assert await fetch(app, "/refused") == "403 refused"
        assert await fetch(app, "/in/b") == "200 b {}"


@pytest.mark.parametrize(
    "method",
    [
        *("Route.handle", "Route.matches", "Mount.handle", "Mount.matches", "Router.__call__"),
        "Router.not_found",
    ],
)
@pytest.mark.parametrize("path", ["/a", "/in/7", "/other"])
@pytest.mark.parametrize("uses_wrapt", [False, True])
async def test_methods_that_are_replaced_on_the_class_are_called(
    method: str, path: str, uses_wrapt: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"uses_wrapt": uses_wrapt, "monkeypatch": monkeypatch}
    expected = await is_called(method, path, starlette.routing, Starlette, **options)
    assert await is_called(method, path, routing, App, **options) == expected


async def is_called(
    method: str,
    path: str,
    library: Any,
    app_class: Any,
    *,
    uses_wrapt: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> bool:
    """Serve a request while a method is wrapped, as tracing libraries do; say whether it was called."""
    calls: list[str] = []
    class_name, name = method.split(".")
    owner = getattr(library, class_name)
    original = getattr(owner, name)

    def counted(self: Any, *args: Any) -> Any:
        calls.append(name)
        return original(self, *args)

    def watched(wrapped: Any, self: Any, args: Any, options: Any) -> Any:
        calls.append(name)
        return wrapped(*args, **options)

    wrapper = wrapt.FunctionWrapper(original, watched) if uses_wrapt else counted

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    async def greet(request: Any) -> Any:
        return endpoint

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, wrapper)
        routes = [
            library.Route("/a", greet),
            library.Mount("/in", routes=[library.Route("/{x}", greet)]),
        ]
        channel = await call(app_class(routes=routes), build_scope(path))
        assert channel.status == (404 if path == "/other" else 200)
    return bool(calls)
