"""Which handler an exception gets, the last-resort 500, and instances that are raised for ever."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import Any

import pytest

from framework._exception_handler import wrap_app_handling_exceptions
from framework.applications import App
from framework.exceptions import HTTPException
from framework.middleware import Middleware
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse, Response
from framework.routing import Mount, Route
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.asgi import build_scope, call

pytestmark = pytest.mark.anyio


class BaseError(Exception):
    pass


class OtherError(Exception):
    pass


class MiddleError(BaseError):
    pass


class LeafError(MiddleError, OtherError):
    pass


class Gone(HTTPException):
    def __init__(self) -> None:
        super().__init__(410)


def say(text: str) -> Callable[[Request[Any], Exception], Response]:
    def handler(request: Request[Any], exc: Exception) -> Response:
        return PlainTextResponse(text)

    return handler


def raiser(exc: Exception) -> Callable[[Request[Any]], Any]:
    async def endpoint(request: Request[Any]) -> Response:
        raise exc

    return endpoint


class Cors:
    """Middleware as browsers need it: an answer without the field is an error without a message."""

    def __init__(self, app: ASGIApp, *, copies_scope: bool = False) -> None:
        self.app = app
        self.copies_scope = copies_scope

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = dict(scope["headers"]).get(b"origin")

        async def allow(message: Message) -> None:
            if message["type"] == "http.response.start" and origin is not None:
                field = (b"access-control-allow-origin", origin)
                message = {**message, "headers": [*message["headers"], field]}
            await send(message)

        await self.app(dict(scope) if self.copies_scope else scope, receive, allow)


class RequestId:
    """A second layer, with a field of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", b"7")]}
            await send(message)

        await self.app(scope, receive, mark)


STACKS: dict[str, list[Middleware]] = {
    "bare": [],
    "with middleware": [Middleware(Cors), Middleware(RequestId)],
}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("exc", "handled", "expected"),
    [
        (LeafError(), [BaseError, OtherError], "BaseError"),
        (LeafError(), [OtherError, BaseError], "BaseError"),
        (LeafError(), [BaseError, MiddleError], "MiddleError"),
        (LeafError(), [OtherError], "OtherError"),
        (LeafError(), [OtherError, LeafError], "LeafError"),
        (MiddleError(), [LeafError, BaseError], "BaseError"),
        (Gone(), [HTTPException], "HTTPException"),
        (Gone(), [HTTPException, Gone], "Gone"),
        (Gone(), [Gone, 410], "410"),
        (Gone(), [404, HTTPException], "HTTPException"),
    ],
)
async def test_the_nearest_class_decides_and_a_status_comes_first(
    stack: str, exc: Exception, handled: list[Any], expected: str
) -> None:
    handlers = {key: say(getattr(key, "__name__", str(key))) for key in handled}
    app = App(
        routes=[Route("/", raiser(exc))], middleware=STACKS[stack], exception_handlers=handlers
    )
    assert (await call(app, build_scope())).body == expected.encode()


async def test_an_app_below_a_route_is_given_the_same_handlers() -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise LeafError

    async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
        inner = wrap_app_handling_exceptions(fail, Request(scope, receive, send))
        await inner(scope, receive, send)

    app = App(
        routes=[Mount("/", app=endpoint)], exception_handlers={BaseError: say("handled once")}
    )
    assert (await call(app, build_scope())).body == b"handled once"


SHARED = HTTPException(403, "the same instance every time")
SHARED_ERROR = BaseError("the same instance every time")


async def receive_nothing() -> Message:
    return {"type": "http.disconnect"}


async def send_nowhere(message: Message) -> None:
    return


def run_many(app: ASGIApp, times: int) -> None:
    """Call an app that waits for nothing, without an event loop: it ends at the first step."""
    scope = build_scope()
    for _ in range(times):
        steps = app(dict(scope), receive_nothing, send_nowhere).__await__()
        assert next(steps, "ended") == "ended"


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(("exc", "times"), [(SHARED, 100_000), (SHARED_ERROR, 20_000)])
def test_a_module_level_exception_may_be_raised_a_hundred_thousand_times(
    stack: str, exc: Exception, times: int
) -> None:
    """Each traceback that the instance kept would hold the frames, and so the request, of its raise."""

    async def on_error(request: Request[Any], exc: Exception) -> Response:
        return Response(status_code=422)

    app = App(
        routes=[Route("/", raiser(exc))],
        middleware=STACKS[stack],
        exception_handlers={BaseError: on_error},
    )
    run_many(app, 100)
    before = sys.getallocatedblocks()
    run_many(app, times)
    assert sys.getallocatedblocks() - before < 1000
    assert exc.__traceback__ is None


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int = 7


def test_an_exception_that_takes_no_attributes_is_handled(
    client_factory: ClientFactory,
) -> None:
    async def on_error(request: Request[Any], exc: Exception) -> Response:
        return Response(status_code=422)

    app = App(routes=[Route("/", raiser(Frozen()))], exception_handlers={Frozen: on_error})
    assert client_factory(app).get("/").status_code == 422


@pytest.mark.parametrize("copies_scope", [False, True])
@pytest.mark.parametrize("options", [{}, {"debug": True}, {"exception_handlers": "own"}])
@pytest.mark.parametrize("path", ["/", "/m/", "/app/", "/guarded"])
def test_the_last_resort_500_passes_the_middleware_of_the_application(
    client_factory: ClientFactory, copies_scope: bool, options: dict[str, Any], path: str
) -> None:
    """A 500 without CORS headers is a "CORS error" in a browser, and no one sees what failed."""

    async def on_error(request: Request[Any], exc: Exception) -> Response:
        return JSONResponse({"error": str(exc)}, 500)

    if "exception_handlers" in options:
        options = {"exception_handlers": {500: on_error}}
    broken = Route("/", raiser(LookupError("broken")))
    guarded = Route("/guarded", broken.endpoint, middleware=[Middleware(RequestId)])
    app = App(
        routes=[
            broken,
            guarded,
            Mount("/m", routes=[broken]),
            Mount("/app", app=App(routes=[broken], middleware=[Middleware(RequestId)], **options)),
        ],
        middleware=[Middleware(Cors, copies_scope=copies_scope), Middleware(RequestId)],
        **options,
    )
    client = client_factory(app, raise_server_exceptions=False)
    response = client.get(path, headers={"origin": "https://example.org"})
    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == "https://example.org"
    assert "7" in response.headers["x-request-id"]
    assert ("broken" in response.text) == bool(options)
    with pytest.raises(LookupError, match="broken"):
        client_factory(app).get(path)


def test_a_failure_of_the_middleware_itself_has_a_net_below_it(
    client_factory: ClientFactory,
) -> None:
    class Broken:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            raise LookupError("in the middleware")

    app = App(middleware=[Middleware(Cors), Middleware(Broken)])
    client = client_factory(app, raise_server_exceptions=False)
    assert client.get("/").text == "Internal Server Error"
