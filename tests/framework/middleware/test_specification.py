"""`Middleware`: a class and its options until the stack is built; the layers of errors alone."""

from __future__ import annotations

from typing import Any

import pytest

from framework._exception_handler import wrap_app_handling_exceptions
from framework.middleware import Middleware
from framework.middleware.errors import ServerErrorMiddleware
from framework.middleware.exceptions import ExceptionMiddleware
from framework.middleware.sessions import SessionMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.types import ASGIApp, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio


class Layer:
    """Middleware with options."""

    def __init__(self, app: ASGIApp, first: int = 0, *, second: str = "") -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


def test_a_specification_unpacks_into_its_parts() -> None:
    cls, args, kwargs = Middleware(Layer, 1, second="two")
    assert (cls, args, kwargs) == (Layer, (1,), {"second": "two"})


def test_a_specification_shows_how_it_was_made() -> None:
    assert repr(Middleware(Layer, 1, second="two")) == "Middleware(Layer, 1, second='two')"
    assert repr(Middleware(Layer)) == "Middleware(Layer)"


def test_a_key_is_not_shown_however_it_was_passed() -> None:
    shown = "SessionMiddleware, '**********'"
    assert repr(Middleware(SessionMiddleware, "my key")) == f"Middleware({shown})"
    assert repr(Middleware(SessionMiddleware, "my key", "id")) == f"Middleware({shown}, 'id')"
    named = Middleware(SessionMiddleware, secret_key="my key")
    assert repr(named) == "Middleware(SessionMiddleware, secret_key='**********')"


def test_a_factory_that_hides_its_parameters_shows_what_it_was_given() -> None:
    def build(*args: object) -> ASGIApp:
        return Layer(args[0])  # type: ignore[arg-type]

    assert repr(Middleware(build, 1, 2)) == "Middleware(build, 1, 2)"


def test_a_factory_function_is_middleware_too() -> None:
    def build(app: ASGIApp, size: int) -> ASGIApp:
        return Layer(app, size)

    cls, args, kwargs = Middleware(build, size=3)
    assert isinstance(cls(PlainTextResponse("x"), *args, **kwargs), Layer)


async def raise_known(scope: Scope, receive: Receive, send: Send) -> None:
    raise LookupError("known")


def answer_known(request: Request[Any], exc: Exception) -> Response:
    return PlainTextResponse(f"answered {exc}", 422)


async def test_the_layer_of_handlers_works_alone() -> None:
    app = ExceptionMiddleware(raise_known)
    app.add_exception_handler(LookupError, answer_known)
    channel = await call(app, build_scope())
    assert (channel.status, channel.body) == (422, b"answered known")


async def test_the_layer_of_the_last_resort_works_alone() -> None:
    channel = Channel()
    with pytest.raises(LookupError):
        await ServerErrorMiddleware(raise_known)(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.body) == (500, b"Internal Server Error")


async def test_an_application_can_be_wrapped_into_the_handlers_in_scope() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        wrapped = wrap_app_handling_exceptions(raise_known, Request(scope, receive, send))
        await wrapped(scope, receive, send)

    channel = await call(
        ExceptionMiddleware(app, handlers={LookupError: answer_known}), build_scope()
    )
    assert channel.body == b"answered known"


@pytest.mark.parametrize("layer", [ExceptionMiddleware, ServerErrorMiddleware])
async def test_the_layers_let_the_lifespan_pass(layer: Any) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])
        raise LookupError("passes")

    with pytest.raises(LookupError, match="passes"):
        await layer(app)({"type": "lifespan"}, Channel().receive, Channel().send)
    assert seen == ["lifespan"]
