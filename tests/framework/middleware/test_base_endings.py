"""`BaseHTTPMiddleware`: failures, clients that leave, bodies read, other messages, a soak."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from framework.requests import Request
from framework.responses import PlainTextResponse, Response, StreamingResponse
from framework.routing import Route
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.middleware.dispatches import (
    APPS,
    DISPATCHES,
    Dispatch,
    change,
    from_child,
    limit,
    pass_on,
    plain,
    replace,
    token,
    wrap,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("dispatch", [pass_on, limit, from_child, token])
async def test_an_exception_comes_out_of_call_next(dispatch: Dispatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError("broken")

    async def catch(request: Any, call_next: RequestResponseEndpoint) -> Response:
        try:
            return await dispatch(request, call_next)
        except (ValueError, ExceptionGroup):
            return PlainTextResponse("caught", 422)

    channel = await call(BaseHTTPMiddleware(app, catch), build_scope())
    assert channel.status == 422
    with pytest.raises((ValueError, ExceptionGroup)) as raised:
        await call(BaseHTTPMiddleware(BaseHTTPMiddleware(app, pass_on), dispatch), build_scope())
    assert dispatch is from_child or str(raised.value) == "broken"


@pytest.mark.parametrize("dispatch", [pass_on, wrap, replace, limit])
async def test_an_exception_in_a_stream_leaves_it_incomplete(dispatch: Dispatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise ValueError("broken")

    channel = Channel(b"", stays=True)
    with pytest.raises(ValueError, match="broken"):
        await BaseHTTPMiddleware(app, dispatch)(build_scope(), channel.receive, channel.send)
    assert channel.body == b"a"
    assert channel.messages[-1]["more_body"] is True


@pytest.mark.parametrize("app", APPS)
async def test_a_failure_of_dispatch_does_not_reach_the_application(app: ASGIApp) -> None:
    caught: list[BaseException] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception as exc:
            caught.append(exc)
            raise

    async def fail(request: Any, call_next: RequestResponseEndpoint) -> Response:
        await call_next(request)
        raise ValueError("refused")

    with anyio.fail_after(5), pytest.raises(ValueError, match="refused"):
        await call(BaseHTTPMiddleware(watched, fail), build_scope())
    assert caught == []


@pytest.mark.parametrize("app", APPS)
async def test_the_answer_may_be_another_one(app: ASGIApp) -> None:
    async def other(request: Any, call_next: RequestResponseEndpoint) -> Response:
        await call_next(request)
        return PlainTextResponse("other", 418)

    with anyio.fail_after(5):
        channel = await call(BaseHTTPMiddleware(app, other), build_scope())
    assert (channel.status, channel.body) == (418, b"other")


async def test_the_application_need_not_be_called() -> None:
    async def short(request: Any, call_next: RequestResponseEndpoint) -> Response:
        return PlainTextResponse("short")

    assert (await call(BaseHTTPMiddleware(plain, short), build_scope())).body == b"short"


async def test_an_application_without_a_response_is_an_error() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    for dispatch in (pass_on, limit):
        with pytest.raises(RuntimeError, match="No response returned"):
            await call(BaseHTTPMiddleware(silent, dispatch), build_scope())


async def test_dispatch_has_to_return_a_response() -> None:
    async def nothing(request: Any, call_next: RequestResponseEndpoint) -> Any:
        await call_next(request)

    with pytest.raises(TypeError, match="dispatch returned None"):
        await call(BaseHTTPMiddleware(plain, nothing), build_scope())


async def test_a_failed_call_may_be_repeated() -> None:
    attempts: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        attempts.append(1)
        body = await Request(scope, receive).body()
        if len(attempts) < 3:
            raise OSError("not yet")
        await Response(body)(scope, receive, send)

    async def retry(request: Any, call_next: RequestResponseEndpoint) -> Response:
        while True:
            try:
                return await call_next(request)
            except OSError:
                await anyio.lowlevel.checkpoint()

    with anyio.fail_after(5):
        assert (
            await call(BaseHTTPMiddleware(app, retry), build_scope(), b"again")
        ).body == b"again"


@pytest.mark.parametrize("app", APPS)
async def test_a_second_call_gives_the_second_answer(app: ASGIApp) -> None:
    async def twice(request: Any, call_next: RequestResponseEndpoint) -> Response:
        await call_next(request)
        return await call_next(request)

    with anyio.fail_after(5):
        channel = await call(BaseHTTPMiddleware(app, twice), build_scope())
    assert channel.body == APPS[app]  # type: ignore[index]  # a dict of functions


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await Response(body)(scope, receive, send)


@pytest.mark.parametrize("chunks", [(b"whole",), (b"in ", b"parts")])
async def test_a_body_that_was_read_can_be_read_below(chunks: tuple[bytes, ...]) -> None:
    async def read(request: Any, call_next: RequestResponseEndpoint) -> Response:
        assert await request.body() == b"".join(chunks)
        return await call_next(request)

    layered = BaseHTTPMiddleware(BaseHTTPMiddleware(echo, read), read)
    assert (await call(layered, build_scope(), *chunks)).body == b"".join(chunks)


async def test_a_body_that_was_streamed_is_empty_below() -> None:
    async def drain(request: Any, call_next: RequestResponseEndpoint) -> Response:
        async for _ in request.stream():
            pass
        return await call_next(request)

    channel = await call(BaseHTTPMiddleware(echo, drain), build_scope(), b"a", b"b")
    assert channel.body == b""


async def test_a_body_in_one_piece_can_be_read_afterwards() -> None:
    seen: list[bytes] = []

    async def read(request: Any, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        seen.append(await request.body())
        return response

    await call(BaseHTTPMiddleware(echo, read), build_scope(), b"body")
    assert seen == [b"body"]
    with pytest.raises(RuntimeError, match="Stream consumed"):
        await call(BaseHTTPMiddleware(echo, read), build_scope(), b"in ", b"parts")


async def test_a_disconnect_is_seen_below_three_layers() -> None:
    gone = anyio.Event()
    answers: list[bool] = []

    async def receive() -> Message:
        if not gone.is_set():
            await anyio.sleep_forever()
        return {"type": "http.disconnect"}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[Any] = Request(scope, receive)
        answers.append(await request.is_disconnected())
        gone.set()
        answers.append(await request.is_disconnected())
        await plain(scope, receive, send)

    for _ in range(3):
        app = BaseHTTPMiddleware(app, pass_on)
    await app(build_scope(), receive, Channel().send)
    assert answers == [False, True]


@pytest.mark.parametrize("dispatch", DISPATCHES)
async def test_a_client_that_leaves_ends_the_stream(dispatch: Dispatch) -> None:
    closed = anyio.Event()
    gone = anyio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        try:
            yield b"first"
            gone.set()
            await anyio.sleep_forever()
        finally:
            closed.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(chunks()) as iterator:
            await StreamingResponse(iterator)(scope, receive, send)

    async def receive() -> Message:
        await gone.wait()
        return {"type": "http.disconnect"}

    layered = BaseHTTPMiddleware(BaseHTTPMiddleware(app, dispatch), dispatch)
    with anyio.fail_after(5):
        await layered(build_scope(), receive, Channel().send)
    assert closed.is_set()


@pytest.mark.parametrize("app", APPS)
@pytest.mark.parametrize("dispatch", DISPATCHES)
async def test_a_cancelled_request_leaves_nothing_behind(app: ASGIApp, dispatch: Dispatch) -> None:
    async def send(message: Message) -> None:
        await anyio.sleep_forever()

    layered = BaseHTTPMiddleware(BaseHTTPMiddleware(app, dispatch), dispatch)
    with anyio.move_on_after(0.02) as scope:
        await layered(build_scope(), Channel(b"", stays=True).receive, send)
    assert scope.cancelled_caught


@pytest.mark.parametrize("where", ["before", "stream"])
async def test_a_time_limit_in_dispatch_stops_the_application(where: str) -> None:
    ended = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with anyio.CancelScope():
                if where == "stream":
                    await send({"type": "http.response.start", "status": 200, "headers": []})
                await anyio.sleep_forever()
        finally:
            ended.set()

    async def limited(request: Any, call_next: RequestResponseEndpoint) -> Response:
        with anyio.move_on_after(0.02):
            response: Any = await call_next(request)
            return Response(b"".join([chunk async for chunk in response.body_iterator]))
        return PlainTextResponse("too slow", 504)

    with anyio.fail_after(5):
        channel = await call(BaseHTTPMiddleware(app, limited), build_scope())
    assert channel.status == 504
    assert ended.is_set()


async def test_other_messages_pass() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.early_hint", "links": []})
        await send({"type": "http.response.debug", "info": {"a": 1}})
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"a"})
        await send({"type": "http.response.trailers", "headers": [(b"b", b"c")]})

    layered = BaseHTTPMiddleware(BaseHTTPMiddleware(app, change), change)
    channel = await call(layered, build_scope())
    assert [message["type"].removeprefix("http.response.") for message in channel.messages] == [
        *("early_hint", "debug", "start", "body", "trailers")
    ]
    assert channel.messages[2]["trailers"] is True


@pytest.mark.parametrize("dispatch", [change, wrap])
async def test_a_path_to_send_passes(dispatch: Dispatch) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/file"})

    channel = await call(
        BaseHTTPMiddleware(BaseHTTPMiddleware(app, dispatch), change), build_scope()
    )
    assert channel.messages[1:] == [{"type": "http.response.pathsend", "path": "/file"}]


async def test_what_is_no_http_passes() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    for kind in ("lifespan", "websocket"):
        channel = Channel()
        await BaseHTTPMiddleware(app, pass_on)({"type": kind}, channel.receive, channel.send)
    assert seen == ["lifespan", "websocket"]


async def test_a_class_without_dispatch_says_so() -> None:
    with pytest.raises(NotImplementedError, match="BaseHTTPMiddleware needs a dispatch"):
        await call(BaseHTTPMiddleware(plain), build_scope())


async def test_complete_answers_need_no_task() -> None:
    """On asyncio the application and all layers run in the task of the request."""
    try:
        before = len(asyncio.all_tasks())
    except RuntimeError:
        return  # trio has a nursery instead
    counts: list[int] = []

    async def count(request: Any, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        counts.append(len(asyncio.all_tasks()))
        return response

    app: ASGIApp = plain
    for _ in range(5):
        app = BaseHTTPMiddleware(app, count)
    await call(app, build_scope())
    assert counts == [before] * 5


async def generate_endlessly() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await anyio.lowlevel.checkpoint()


class LeavingClient:
    """Goes away at the first part of the body."""

    def __init__(self) -> None:
        self.gone = anyio.Event()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            self.gone.set()
            raise OSError("gone")


async def test_two_thousand_requests_with_aborts_leave_nothing() -> None:
    async def endless(request: Request[Any]) -> Response:
        return StreamingResponse(generate_endlessly())

    async def quick(request: Request[Any]) -> Response:
        return PlainTextResponse("quick")

    layers = [Middleware(BaseHTTPMiddleware, dispatch=each) for each in (change, wrap, limit)]
    app = App(routes=[Route("/", quick), Route("/endless", endless)], middleware=layers)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(2000):
            if number % 5:
                await call(app, build_scope())
            else:
                with contextlib.suppress(OSError):
                    client = LeavingClient()
                    await app(build_scope("/endless"), client.receive, client.send)
            if number == 200:
                gc.collect()
                before = len(gc.get_objects())
        gc.collect()
    assert len(gc.get_objects()) - before < 500
