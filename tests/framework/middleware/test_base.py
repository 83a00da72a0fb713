"""`BaseHTTPMiddleware`: every way through it, context variables, streams, background work."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework.background import BackgroundTask
from framework.middleware._tasks import find_context, find_scope, find_task
from framework.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from framework.responses import PlainTextResponse, Response, StreamingResponse
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.middleware.dispatches import (
    APPS,
    DISPATCHES,
    VARIABLE,
    Dispatch,
    change,
    from_child,
    group,
    limit,
    pass_on,
    plain,
    read_whole,
    replace,
    stream,
    token,
    wrap,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("dispatch", DISPATCHES)
@pytest.mark.parametrize("app", APPS)
async def test_every_way_through_gives_the_body(
    app: ASGIApp, dispatch: Dispatch, layers: int
) -> None:
    expected = APPS[app]  # type: ignore[index]  # a dict of functions
    for _ in range(layers):
        app = BaseHTTPMiddleware(app, dispatch)
    with anyio.fail_after(5):
        channel = await call(app, build_scope())
    assert channel.body == expected
    assert [message["type"] for message in channel.messages].count("http.response.start") == 1
    assert not channel.messages[-1].get("more_body", False)
    assert channel.status == (202 if dispatch is change else 200)
    assert (b"x-changed" in channel.headers) is (dispatch is change)


@pytest.mark.parametrize("outer", DISPATCHES)
@pytest.mark.parametrize("inner", DISPATCHES)
async def test_different_layers_fit_together(outer: Dispatch, inner: Dispatch) -> None:
    for app, body in APPS.items():
        layered = BaseHTTPMiddleware(BaseHTTPMiddleware(app, inner), outer)
        with anyio.fail_after(5):
            assert (await call(layered, build_scope())).body == body


async def test_a_scope_that_is_entered_is_found(anyio_backend_name: str) -> None:
    task = None if anyio_backend_name == "trio" else find_task()
    before = find_scope(task)
    with anyio.CancelScope():  # noqa: ASYNC100  -- nothing is to be cancelled
        assert find_scope(task) is not before
    assert find_scope(task) is before


@pytest.mark.parametrize("dispatch", [pass_on, limit, group, token, wrap])
@pytest.mark.parametrize("streams", [False, True])
async def test_context_variables_flow_both_ways(dispatch: Dispatch, streams: bool) -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("app")
        await (stream if streams else plain)(scope, receive, send)

    async def watch(request: Any, call_next: RequestResponseEndpoint) -> Response:
        VARIABLE.set("dispatch")
        response = await dispatch(request, call_next)
        seen.append(VARIABLE.get())
        return response

    for layers in (1, 3):
        seen.clear()
        stack: ASGIApp = app
        for _ in range(layers):
            stack = BaseHTTPMiddleware(stack, watch)
        await call(stack, build_scope())
        assert seen == ["dispatch", *(["dispatch" if dispatch is token else "app"] * layers)]


async def test_the_context_that_is_found_is_the_one_in_force() -> None:
    context = find_context()
    VARIABLE.set("set later")
    assert context[VARIABLE] == "set later"
    assert find_context() is context


async def test_plain_asgi_middleware_outside_sees_the_variable() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        VARIABLE.set("app")
        await plain(scope, receive, send)

    VARIABLE.set("outside")
    await call(BaseHTTPMiddleware(app, pass_on), build_scope())
    assert VARIABLE.get() == "app"


async def test_a_head_is_sent_before_the_first_chunk_exists() -> None:
    head = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await head.wait()
        await send({"type": "http.response.body", "body": b"late"})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head.set()

    layered = BaseHTTPMiddleware(BaseHTTPMiddleware(app, change), change)
    with anyio.fail_after(5):
        await layered(build_scope(), Channel(b"", stays=True).receive, send)
    assert head.is_set()


@pytest.mark.parametrize("dispatch", [pass_on, wrap, replace, limit])
async def test_a_chunk_is_sent_before_the_next_is_made(dispatch: Dispatch) -> None:
    events: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        for number in range(3):
            events.append(f"made {number}")
            yield b"%d" % number
            await anyio.sleep(0.01)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await StreamingResponse(chunks())(scope, receive, send)

    async def send(message: Message) -> None:
        if message.get("body"):
            events.append(f"sent {message['body'].decode()}")

    layered = BaseHTTPMiddleware(BaseHTTPMiddleware(app, dispatch), dispatch)
    await layered(build_scope(), Channel(b"", stays=True).receive, send)
    assert events == ["made 0", "sent 0", "made 1", "sent 1", "made 2", "sent 2"]


@pytest.mark.parametrize("dispatch", [pass_on, read_whole, wrap, replace, limit, from_child])
@pytest.mark.parametrize("streams", [False, True])
async def test_background_work_follows_the_answer(dispatch: Dispatch, streams: bool) -> None:
    events: list[str] = []

    async def note(text: str) -> None:
        events.append(text)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inner = BackgroundTask(note, "inner")
        response = (
            StreamingResponse([b"a", b"b"], background=inner)
            if streams
            else PlainTextResponse("ab", background=inner)
        )
        await response(scope, receive, send)

    async def outer(request: Any, call_next: RequestResponseEndpoint) -> Response:
        response = await dispatch(request, call_next)
        response.background = BackgroundTask(note, "outer")
        return response

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            events.append("sent")

    app_ = BaseHTTPMiddleware(app, outer)
    await app_(build_scope(), Channel(b"", stays=True).receive, send)
    assert events == ["sent", "outer", "inner"]


async def test_each_layer_has_a_response_of_its_own() -> None:
    kept: list[Response] = []

    async def keep(request: Any, call_next: RequestResponseEndpoint) -> Response:
        kept.append(await call_next(request))
        return kept[0]

    await call(BaseHTTPMiddleware(BaseHTTPMiddleware(plain, keep), change), build_scope())
    assert kept[0].status_code == 200
    assert "x-changed" not in kept[0].headers


@pytest.mark.parametrize("layers", [1, 2])
async def test_a_client_is_there_until_the_answer_is_sent(layers: int) -> None:
    is_asked = anyio.Event()
    answers: list[Message] = []

    async def ask(receive: Receive) -> None:
        for _ in range(2):
            answers.append(await receive())
            is_asked.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, receive)
            await plain(scope, receive, send)
            tasks.cancel_scope.cancel()

    async def send(message: Message) -> None:
        await is_asked.wait()
        await anyio.sleep(0.01)

    for _ in range(layers):
        app = BaseHTTPMiddleware(app, pass_on)
    with anyio.fail_after(5):
        await app(build_scope(), Channel(b"", stays=True).receive, send)
    assert [message["type"] for message in answers] == ["http.request"]


async def test_a_failure_further_out_ends_all_tasks(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: Any, call_next: RequestResponseEndpoint) -> Response:
        await call_next(request)
        raise ValueError("refused")

    for app in APPS:
        with anyio.fail_after(5), pytest.raises(ValueError, match="refused"):
            await call(BaseHTTPMiddleware(BaseHTTPMiddleware(app, pass_on), fail), build_scope())
    gc.collect()
    assert caplog.messages == []  # what asyncio says of a task whose failure nobody has seen


async def test_a_failure_in_a_stream_ends_an_endless_application() -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            await anyio.lowlevel.checkpoint()

    async def fail(chunks: Any) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk
            raise ValueError("broken")

    async def break_off(request: Any, call_next: RequestResponseEndpoint) -> Response:
        response: Any = await call_next(request)
        response.body_iterator = fail(response.body_iterator)
        return response  # type: ignore[no-any-return]

    with anyio.fail_after(5), pytest.raises(ValueError, match="broken"):
        await call(BaseHTTPMiddleware(endless, break_off), build_scope())


async def test_a_stream_that_nobody_reads_lets_others_run() -> None:
    has_had_a_turn = anyio.Event()

    async def take_a_turn() -> None:
        await anyio.sleep(0.01)
        has_had_a_turn.set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take_a_turn)
            end = anyio.current_time() + 2
            while not has_had_a_turn.is_set() and anyio.current_time() < end:
                await send({"type": "http.response.body", "body": b"a", "more_body": True})
            assert has_had_a_turn.is_set()

    async def other(request: Any, call_next: RequestResponseEndpoint) -> Response:
        await call_next(request)
        return PlainTextResponse("other")

    assert (await call(BaseHTTPMiddleware(app, other), build_scope())).body == b"other"
