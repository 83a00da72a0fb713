"""The stack of an `App`: middleware that comes late, fails, or is patched from outside."""

from __future__ import annotations

import functools
from typing import Any, ClassVar, cast

import pytest

from framework._callables import is_async_callable
from framework._exception_handler import call_handler
from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.errors import ServerErrorMiddleware
from framework.middleware.exceptions import ExceptionMiddleware
from framework.routing import Mount, Route, Router
from framework.types import ASGIApp, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.handlers import (
    AddHeader,
    KnownError,
    broken,
    home,
    known,
    on_known,
    refused,
)

pytestmark = pytest.mark.anyio


ROUTES = [
    Route("/", home),
    Route("/broken", broken),
    Route("/known", known),
    Route("/refused", refused),
]


async def test_middleware_may_be_added_until_the_first_request() -> None:
    app = App(routes=ROUTES)
    app.add_middleware(AddHeader, name="x-late")
    assert (await call(app, build_scope())).headers[b"x-late"] == b"yes"
    with pytest.raises(RuntimeError, match="Cannot add middleware after"):
        app.add_middleware(AddHeader)


async def test_a_stack_that_is_thrown_away_is_built_anew() -> None:
    app = App(routes=ROUTES, exception_handlers={KnownError: on_known})
    assert b"x-added" not in (await call(app, build_scope("/known"))).headers
    # What instrumentation libraries do to get into an application that has started.
    app.user_middleware.insert(0, Middleware(AddHeader))
    app.middleware_stack = None
    channel = await call(app, build_scope("/known"))
    assert (channel.status, channel.headers[b"x-added"]) == (422, b"yes")
    assert len(channel.messages) == 2
    channel = Channel()
    with pytest.raises(LookupError):
        await app(build_scope("/broken"), channel.receive, channel.send)
    assert channel.headers[b"x-added"] == b"yes"
    assert len(channel.messages) == 2


async def test_the_page_of_a_middleware_that_fails_passes_those_around_it() -> None:
    class Fail:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError("before the application")

    app = App(routes=ROUTES, middleware=[Middleware(AddHeader), Middleware(Fail)])
    channel = Channel()
    with pytest.raises(LookupError, match="before the application"):
        await app(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.headers.get(b"x-added")) == (500, b"yes")


@pytest.mark.parametrize("middleware", [[], [Middleware(AddHeader)]])
async def test_patched_error_layers_are_part_of_the_stack(
    monkeypatch: pytest.MonkeyPatch, middleware: list[Middleware]
) -> None:
    """As instrumentation libraries do: they wrap the handlers that a layer was made with."""
    handled: list[Exception] = []
    make = ExceptionMiddleware.__init__

    def make_watched(self: ExceptionMiddleware, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        for cls, handler in self._exception_handlers.items():
            self._exception_handlers[cls] = functools.partial(watch, handler)

    async def watch(handler: Any, request: Any, exc: Exception) -> Any:
        handled.append(exc)
        return await call_handler(handler, request, exc)

    monkeypatch.setattr(ExceptionMiddleware, "__init__", make_watched)
    app = App(routes=ROUTES, middleware=middleware)
    assert (await call(app, build_scope("/refused"))).status == 403
    assert (await call(app, build_scope("/none"))).status == 404
    assert [getattr(each, "status_code", None) for each in handled] == [403, 404]


async def test_a_subclass_may_put_a_layer_around_the_whole_stack() -> None:
    class Wrapped(App):
        def build_middleware_stack(self) -> ASGIApp:
            return AddHeader(super().build_middleware_stack())

    app = Wrapped(routes=ROUTES, exception_handlers={KnownError: on_known})
    for path, status in (("/", 200), ("/known", 422), ("/none", 404), ("/refused", 403)):
        channel = await call(app, build_scope(path))
        assert (channel.status, channel.headers.get(b"x-added")) == (status, b"yes"), path
    channel = Channel()
    with pytest.raises(LookupError):
        await app(build_scope("/broken"), channel.receive, channel.send)
    assert (channel.status, channel.headers.get(b"x-added")) == (500, b"yes")


class Look:
    """Middleware that says what it stands around."""

    inner: ClassVar[list[Any]] = []

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.inner.append(app)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def test_what_middleware_is_given_is_known_as_asgi_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `asgiref` and OpenTelemetry find it out: an application is a coroutine function."""
    monkeypatch.setattr(Look, "inner", [])
    look = [Middleware(Look)]
    routes = [
        Mount("/m", routes=[Route("/", home, middleware=look)], middleware=look),
        Mount("/r", Router([Route("/", home)], middleware=look)),
    ]
    app = App(routes=routes, middleware=[*look, Middleware(AddHeader), *look])
    for path in ("/m/", "/r/"):
        assert (await call(app, build_scope(path))).status == 200
    assert len(Look.inner) == 5
    for inner in [app, app.middleware_stack, *Look.inner]:
        assert is_async_callable(inner), inner


async def test_the_stack_of_an_application_without_middleware_may_be_taken_apart() -> None:
    app = App(routes=ROUTES, exception_handlers={KnownError: on_known})
    assert isinstance(app.build_middleware_stack(), ServerErrorMiddleware)
    build = app.build_middleware_stack

    def build_with_header() -> ASGIApp:
        stack: Any = build()
        stack.app = AddHeader(stack.app)
        return cast(ASGIApp, stack)

    app.build_middleware_stack = build_with_header  # type: ignore[method-assign]
    for path, status in (("/", 200), ("/known", 422), ("/none", 404), ("/refused", 403)):
        channel = await call(app, build_scope(path))
        assert (channel.status, channel.headers.get(b"x-added")) == (status, b"yes"), path
