"""The outermost layer: what middleware raises, answers that do not come out, the debug page."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from framework.applications import App
from framework.background import BackgroundTask
from framework.exceptions import HTTPException
from framework.middleware import Middleware
from framework.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from framework.middleware.cross_origin import CrossOriginProtection
from framework.middleware.errors import ServerErrorMiddleware
from framework.middleware.security_headers import SecurityHeadersMiddleware
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from framework.routing import Host, Mount, Route
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.handlers import AddHeader, answer_problem, broken, home

pytestmark = pytest.mark.anyio


class Raise:
    """Pure ASGI middleware that raises, before the application or after it has answered."""

    def __init__(self, app: ASGIApp, exc: Exception, *, late: bool = False) -> None:
        self.app = app
        self.exc = exc
        self.late = late

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.late:
            await self.app(scope, receive, send)
        raise self.exc


class ReadJSON(BaseHTTPMiddleware):
    """Reads the body in its dispatch, before or after the application."""

    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
        if request.url.path == "/after":
            await call_next(request)
        await request.json()
        return await call_next(request)


class PassOn(BaseHTTPMiddleware):
    """Does nothing of its own, and raises when the application has answered."""

    def __init__(self, app: ASGIApp, exc: Exception | None = None) -> None:
        super().__init__(app)
        self.exc = exc

    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        if self.exc is not None:
            raise self.exc
        return response


class FailStart:
    """Middleware whose `send` fails with the start of any response."""

    def __init__(self, app: ASGIApp, exc: Exception, *, copies: bool = False) -> None:
        self.app = app
        self.exc = exc
        self.copies = copies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        inner = dict(scope) if self.copies else scope
        await self.app(inner, receive, functools.partial(self.fail, send))

    async def fail(self, send: Send, message: Message) -> None:
        if message["type"] == "http.response.start":
            raise self.exc
        await send(message)


class KeepAll:
    """Middleware that keeps what is sent, and has no time to pass it on when something fails."""

    def __init__(self, app: ASGIApp, exc: Exception | None = None) -> None:
        self.app = app
        self.exc = exc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self.app(scope, receive, keep)
        if self.exc is not None:
            raise self.exc
        for message in kept:
            await send(message)


async def stream(request: Request[Any]) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"chunk"
        if request.url.path == "/breaks":
            raise LookupError("broken")

    return StreamingResponse(chunks())


ROUTES = [
    Route("/", home),
    Route("/after", home),
    Route("/broken", broken),
    Route("/stream", stream),
    Route("/breaks", stream),
    Route("/raw", PlainTextResponse("an ASGI application")),
]


def build(*layers: Middleware, **options: Any) -> App:
    return App(routes=ROUTES, middleware=[Middleware(AddHeader), *layers], **options)


@pytest.mark.parametrize("path", ["/", "/after"])
async def test_bad_json_read_by_middleware_is_a_400(path: str) -> None:
    channel = await call(build(Middleware(ReadJSON)), build_scope(path), b"{")
    assert channel.status == 400
    assert channel.body.startswith(b"The request body is not valid JSON")
    assert channel.headers[b"x-added"] == b"yes"


async def test_an_http_exception_of_middleware_has_the_handler_of_the_application() -> None:
    refusal = Middleware(Raise, HTTPException(401, "Who?", {"WWW-Authenticate": "Basic"}))
    app = build(refusal, exception_handlers={HTTPException: answer_problem})
    channel = await call(app, build_scope())
    assert (channel.status, channel.body) == (401, b'{"status":401}')
    assert channel.headers[b"www-authenticate"] == b"Basic"
    assert channel.headers[b"x-added"] == b"yes"


@pytest.mark.parametrize(
    "refusal", [Middleware(Raise, HTTPException(403)), Middleware(CrossOriginProtection)]
)
async def test_middleware_of_a_mounted_application_has_the_handlers_of_that_one(
    refusal: Middleware,
) -> None:
    async def answer_outside(request: Request[Any], exc: Exception) -> Response:
        return PlainTextResponse("outside", 403)

    inner = build(refusal, exception_handlers={HTTPException: answer_problem})
    outer = App(routes=[Mount("/in", inner)], exception_handlers={403: answer_outside})
    channel = await call(outer, build_scope("/in/", "POST", ("sec-fetch-site", "cross-site")))
    assert (channel.status, channel.body) == (403, b'{"status":403}')


@pytest.mark.parametrize("path", ["/in/", "/host/", "/route"])
@pytest.mark.parametrize("has_middleware", [False, True])
async def test_middleware_around_a_mounted_application_has_the_handlers_of_its_own(
    path: str, has_middleware: bool
) -> None:
    async def answer_inside(request: Request[Any], exc: Exception) -> Response:
        return PlainTextResponse("inside", 403)

    inner = App(
        routes=[*ROUTES, Route("/route", home)],
        middleware=[Middleware(AddHeader)] if has_middleware else [],
        exception_handlers={403: answer_inside},
    )
    routes = [Mount("/in", inner), Host("inner.example.org", inner), Route("/route", inner)]
    refusal = Middleware(PassOn, HTTPException(403))
    outer = App(
        routes=routes, middleware=[refusal], exception_handlers={HTTPException: answer_problem}
    )
    is_host = path == "/host/"
    host = "inner.example.org" if is_host else "example.org"
    channel = await call(outer, build_scope("/" if is_host else path, "GET", ("host", host)))
    assert (channel.status, channel.body) == (403, b'{"status":403}')


async def test_a_body_over_the_limit_that_middleware_reads_has_the_handler_for_it() -> None:
    handlers = {413: answer_problem}
    app = build(Middleware(ReadJSON), exception_handlers=handlers, max_body_size=4)
    channel = await call(app, build_scope("/", "POST"), b"[1,", b"2]")
    assert (channel.status, channel.body) == (413, b'{"status":413}')


async def test_a_handler_that_fails_for_middleware_gives_a_500() -> None:
    def fail(request: Request[Any], exc: HTTPException) -> Response:
        raise LookupError("in the handler")

    app = build(Middleware(Raise, HTTPException(401)), exception_handlers={401: fail})
    channel = Channel(b"")
    with pytest.raises(LookupError, match="in the handler"):
        await app(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.headers[b"x-added"]) == (500, b"yes")


async def test_an_http_exception_after_the_answer_is_raised() -> None:
    app = build(Middleware(Raise, HTTPException(401), late=True))
    channel = Channel(b"")
    with pytest.raises(HTTPException):
        await app(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.body) == (200, b"home")


@pytest.mark.parametrize("path", ["/", "/stream"])
@pytest.mark.parametrize("exc", [HTTPException(500, "Internal Server Error"), LookupError("late")])
async def test_an_answer_that_adjacent_layers_hand_on_gives_way_to_an_error(
    path: str, exc: Exception
) -> None:
    layers = [Middleware(PassOn), Middleware(PassOn, exc), Middleware(PassOn), Middleware(PassOn)]
    channel = Channel(b"")
    with contextlib.suppress(LookupError):
        await build(*layers)(build_scope(path), channel.receive, channel.send)
    assert (channel.status, channel.body) == (500, b"Internal Server Error")
    assert channel.headers[b"x-added"] == b"yes"


async def test_an_http_exception_of_middleware_that_keeps_its_answer_goes_around_it() -> None:
    channel = await call(build(Middleware(KeepAll, HTTPException(422))), build_scope())
    assert (channel.status, channel.body) == (422, b"Unprocessable Entity")


async def test_an_answer_that_middleware_keeps_is_made_once() -> None:
    calls: list[str] = []

    async def answer(request: Request[Any], exc: Exception) -> Response:
        calls.append((await request.body()).decode())
        return PlainTextResponse("sorry", 422, background=BackgroundTask(calls.append, "task"))

    app = build(Middleware(KeepAll, HTTPException(422)), exception_handlers={422: answer})
    with anyio.fail_after(2):
        channel = await call(app, build_scope("/", "POST", ("content-length", "4")), b"body")
    assert (channel.status, channel.body) == (422, b"sorry")
    assert calls == ["body", "task"]


async def test_a_500_that_middleware_keeps_comes_though_its_task_fails() -> None:
    def fail() -> None:
        raise OSError("in the task")

    async def answer(request: Request[Any], exc: Exception) -> Response:
        return PlainTextResponse("sorry", 500, background=BackgroundTask(fail))

    app = build(Middleware(KeepAll, LookupError("first")), exception_handlers={Exception: answer})
    channel = Channel(b"")
    with pytest.raises(LookupError, match="first"):
        await app(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.body) == (500, b"sorry")


async def test_a_layer_that_fails_with_a_refusal_says_why() -> None:
    class FailTwice(FailStart):
        async def fail(self, send: Send, message: Message) -> None:
            try:
                raise ValueError("the cause")
            except ValueError:
                raise LookupError("start")  # noqa: B904 - its context is what this is about

    layers = [Middleware(FailTwice, LookupError()), Middleware(Raise, HTTPException(403))]
    channel = Channel(b"")
    with pytest.raises(LookupError, match="start") as caught:
        await build(*layers)(build_scope(), channel.receive, channel.send)
    assert isinstance(caught.value.__context__, ValueError)
    assert channel.status == 500


async def test_a_500_that_a_layer_fails_to_send_is_made_once() -> None:
    calls: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"so"
        yield b"rry"

    async def answer(request: Request[Any], exc: Exception) -> Response:
        return StreamingResponse(pieces(), 500, background=BackgroundTask(calls.append, "task"))

    app = build(Middleware(FailStart, LookupError("start")), exception_handlers={Exception: answer})
    channel = Channel(b"")
    with pytest.raises(LookupError, match="start"):
        await app(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.body) == (500, b"sorry")
    assert calls == ["task"]


async def test_an_http_exception_for_an_answer_that_was_begun_further_in_is_answered() -> None:
    class Translate:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await self.app(scope, receive, send)
            except LookupError as exc:
                raise HTTPException(502) from exc

    layers = [Middleware(Translate), Middleware(KeepAll)]
    app = build(*layers, exception_handlers={502: answer_problem})
    channel = await call(app, build_scope("/breaks"))
    assert (channel.status, channel.body) == (502, b'{"status":502}')


async def test_a_body_over_the_limit_of_an_outer_application_is_left_to_it() -> None:
    inner = build(Middleware(ReadJSON))
    app = App(routes=[Mount("/inner", inner)], max_body_size=4)
    scope = build_scope("/inner/", "POST", ("transfer-encoding", "chunked"))
    channel = await call(app, scope, b"[1,", b"2]")
    assert (channel.status, channel.headers[b"connection"]) == (413, b"close")
    assert b"x-added" not in channel.headers


@pytest.mark.parametrize("path", ["/", "/stream", "/raw", "/missing", "/broken"])
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("exc", [LookupError("start"), HTTPException(403)])
async def test_a_start_that_middleware_fails_to_send_is_a_500(
    path: str, copies: bool, exc: Exception
) -> None:
    app = build(Middleware(FailStart, exc, copies=copies))
    channel = Channel(b"")
    with pytest.raises((LookupError, HTTPException, RuntimeError)):
        await app(build_scope(path), channel.receive, channel.send)
    kinds = [message["type"] for message in channel.messages]
    assert kinds == ["http.response.start", "http.response.body"]
    assert (channel.status, channel.body) == (500, b"Internal Server Error")


@pytest.mark.parametrize("exc", [LookupError("first"), HTTPException(500, "Internal Server Error")])
async def test_the_outermost_middleware_that_fails_gets_one_answer(exc: Exception) -> None:
    app = App(routes=ROUTES, middleware=[Middleware(Raise, exc), Middleware(AddHeader)])
    channel = Channel(b"")
    with contextlib.suppress(LookupError):
        await app(build_scope(), channel.receive, channel.send)
    kinds = [message["type"] for message in channel.messages]
    assert kinds == ["http.response.start", "http.response.body"]
    assert (channel.status, channel.body) == (500, b"Internal Server Error")


@pytest.mark.parametrize("path", ["/broken", "/breaks"])
async def test_a_500_that_middleware_keeps_goes_around_it(path: str) -> None:
    reported: list[Exception] = []

    def report(request: Request[Any], exc: Exception) -> Response:
        reported.append(exc)
        return JSONResponse("sorry", 500)

    app = build(Middleware(KeepAll), exception_handlers={Exception: report})
    channel = Channel(b"")
    with pytest.raises(LookupError, match="broken"):
        await app(build_scope(path), channel.receive, channel.send)
    assert (channel.status, channel.body) == (500, b'"sorry"')
    assert len(reported) == 1


async def test_the_debug_page_allows_its_style_and_nothing_else() -> None:
    app = App(debug=True, routes=ROUTES, middleware=[Middleware(SecurityHeadersMiddleware)])
    channel = Channel(b"")
    with pytest.raises(LookupError):
        await app(
            build_scope("/broken", "GET", ("accept", "text/html")), channel.receive, channel.send
        )
    policies = [v for k, v in channel.messages[0]["headers"] if k == b"content-security-policy"]
    styles = re.findall(rb"<style>(.*?)</style>", channel.body, re.DOTALL)
    assert len(policies) == len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0]).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policies[0].decode()
    assert policies[0].startswith(b"default-src 'none';")
    assert b"style=" not in channel.body
    assert b"<script" not in channel.body


async def test_outside_of_an_application_an_http_exception_is_plain_text() -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(404)

    channel = await call(ServerErrorMiddleware(refuse), build_scope())
    assert (channel.status, channel.body) == (404, b"Not Found")
