"""A stream ends with its client, wherever it waits, and costs no task unless it takes long."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework._defaults import CHUNKS_BETWEEN_CHECKPOINTS, DISCONNECT_WATCH_DELAY_SECONDS
from framework.background import BackgroundTask
from framework.exceptions import ClientDisconnect
from framework.responses import StreamingResponse
from framework.types import Message, Scope
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

OLD = {"version": "3.0", "spec_version": "2.3"}
NEW = {"version": "3.0", "spec_version": "2.4"}

variable: ContextVar[str] = ContextVar("variable", default="unset")


class Client:
    """A client that has sent everything, and leaves when it is told to."""

    def __init__(self) -> None:
        self.left = anyio.Event()
        self.left_at = 0.0
        self.messages: list[Message] = []
        self.receiving = 0

    async def receive(self) -> Message:
        self.receiving += 1
        try:
            await self.left.wait()
        finally:
            self.receiving -= 1
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    async def leave_after(self, delay: float) -> None:
        await anyio.sleep(delay)
        self.left_at = anyio.current_time()
        self.left.set()

    async def run(self, response: Any, scope: Scope, delay: float) -> float:
        """Send a request, leave after `delay`; return how long the answer went on then."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.leave_after, delay)
            with anyio.fail_after(5):
                await response(scope, self.receive, self.send)
        return anyio.current_time() - self.left_at


class Waiting:
    """An iterator that waits for ever after its first chunk."""

    def __init__(self) -> None:
        self.closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            yield b"first"
            await anyio.sleep_forever()
        finally:
            # Leaving in good order may take a moment, which has to be granted.
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.01)
            self.closed = True


@pytest.mark.parametrize("delay", [0, 0.01, 0.12])
async def test_an_iterator_that_waits_for_ever_ends_with_its_client(delay: float) -> None:
    waiting, client, done = Waiting(), Client(), list[str]()
    task = BackgroundTask(done.append, "ran")
    overtime = await client.run(
        StreamingResponse(waiting.chunks(), background=task), build_scope(asgi=OLD), delay
    )
    assert overtime < 0.15
    assert waiting.closed
    assert client.receiving == 0
    assert client.messages[-1]["more_body"]
    assert done == ["ran"]


async def test_since_asgi_2_4_it_is_told_that_the_client_left() -> None:
    waiting, client = Waiting(), Client()
    with pytest.raises(ExceptionGroup) as caught:
        await client.run(StreamingResponse(waiting.chunks()), build_scope(asgi=NEW), 0.01)
    assert isinstance(caught.value.exceptions[0], ClientDisconnect)
    assert waiting.closed


@pytest.mark.parametrize("asgi", [OLD, NEW], ids=["old", "new"])
async def test_a_stream_that_is_complete_is_not_cut_off_further_out(asgi: dict[str, str]) -> None:
    client = Client()
    done: list[str] = []

    async def slow() -> AsyncIterator[bytes]:
        yield b"first"
        await anyio.sleep(DISCONNECT_WATCH_DELAY_SECONDS * 3)

    async def send(message: Message) -> None:
        await client.send(message)
        if message["type"] == "http.response.body" and not message["more_body"]:
            client.left.set()  # as servers say when a response is complete
            await anyio.sleep(0.05)
            done.append("sent")

    response = StreamingResponse(slow(), background=BackgroundTask(done.append, "task"))
    with anyio.fail_after(5):
        await response(build_scope(asgi=asgi), client.receive, send)
    assert done == ["sent", "task"]


async def test_a_plain_iterable_that_never_ends_ends_with_its_client() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"."

    client = Client()
    await client.run(StreamingResponse(endless()), build_scope(asgi=OLD), 0.02)
    assert client.messages[-1]["more_body"]


@pytest.mark.parametrize("asgi", [OLD, NEW])
async def test_an_iterator_that_never_waits_lets_others_run(asgi: dict[str, str]) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"."

    client = Client()
    with suppress(ExceptionGroup):  # of ClientDisconnect, since ASGI 2.4
        await client.run(StreamingResponse(endless()), build_scope(asgi=asgi), 0.02)
    assert client.left.is_set()
    assert client.messages[-1]["more_body"]


async def test_a_send_that_waits_ends_with_its_client() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    client = Client()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            client.left.set()
            await anyio.sleep_forever()

    with anyio.fail_after(5):
        await StreamingResponse(chunks())(build_scope(asgi=OLD), client.receive, send)


async def test_a_short_stream_asks_nobody_whether_the_client_is_there() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS_BETWEEN_CHECKPOINTS - 1):
            yield b"."

    async def receive() -> Message:
        raise AssertionError("asked")

    channel = Channel()
    await StreamingResponse(chunks())(build_scope(asgi=OLD), receive, channel.send)
    assert not channel.messages[-1]["more_body"]


async def test_a_stream_makes_no_task_of_its_own_on_asyncio(anyio_backend_name: str) -> None:
    if anyio_backend_name == "trio":
        return  # trio has no timers without tasks: there the watcher starts with the first wait
    tasks = set[Any]()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
            tasks.update(asyncio.all_tasks())
            yield b"."

    before = asyncio.all_tasks()
    await call(StreamingResponse(chunks()), build_scope(asgi=OLD))
    assert tasks == before
    handles = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    assert all(handle.cancelled() for handle in handles)


async def test_the_iterator_runs_in_the_task_and_context_of_the_request() -> None:
    async def chunks() -> AsyncIterator[str]:
        yield variable.get()
        await anyio.sleep(DISCONNECT_WATCH_DELAY_SECONDS * 1.5)
        variable.set("set by the iterator")
        yield str(anyio.get_current_task().id)

    token = variable.set("set by the endpoint")
    channel = await call(StreamingResponse(chunks()), build_scope(asgi=OLD))
    assert channel.body.decode() == f"set by the endpoint{anyio.get_current_task().id}"
    assert variable.get() == "set by the iterator"
    variable.reset(token)


async def test_the_iterator_may_have_cancel_scopes_and_tasks_of_its_own() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        with anyio.move_on_after(0.07):
            await anyio.sleep_forever()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep, 0.01)
        yield b"done"

    channel = await call(StreamingResponse(chunks()), build_scope(asgi=OLD))
    assert channel.body == b"done"


async def test_a_cancelled_response_closes_its_iterator_and_stops_listening() -> None:
    waiting, client = Waiting(), Client()
    with anyio.move_on_after(DISCONNECT_WATCH_DELAY_SECONDS * 1.5) as scope:
        await StreamingResponse(waiting.chunks())(
            build_scope(asgi=OLD), client.receive, client.send
        )
    assert scope.cancelled_caught
    assert waiting.closed
    assert client.receiving == 0


async def test_a_failure_of_receive_ends_the_stream() -> None:
    waiting = Waiting()

    async def receive() -> Message:
        raise LookupError("lost")

    with anyio.fail_after(5), pytest.raises(LookupError, match="lost"):
        await StreamingResponse(waiting.chunks())(build_scope(asgi=OLD), receive, Channel().send)
    assert waiting.closed


async def test_a_receive_that_never_waits_holds_up_nobody() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        await anyio.sleep(DISCONNECT_WATCH_DELAY_SECONDS * 1.5)
        yield b"late"

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    channel = Channel()
    with anyio.fail_after(5):
        await StreamingResponse(chunks())(build_scope(asgi=OLD), receive, channel.send)
    assert channel.body == b"late"


async def test_a_failure_of_the_iterator_is_not_taken_for_a_disconnect() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        raise FileNotFoundError("data")

    for asgi in (OLD, NEW):
        channel = Channel(stays=True)
        with pytest.raises(FileNotFoundError):
            await StreamingResponse(chunks())(build_scope(asgi=asgi), channel.receive, channel.send)


async def test_since_asgi_2_4_a_stream_may_read_the_body_while_it_is_sent() -> None:
    async def echo() -> AsyncIterator[bytes]:
        while True:
            await anyio.sleep(0.02)
            message = await channel.receive()
            yield message["body"]
            if not message["more_body"]:
                return

    channel = Channel(*[b"%d" % number for number in range(6)], stays=True)
    scope = build_scope("/", "POST", ("content-length", "6"), asgi=NEW)
    await StreamingResponse(echo())(scope, channel.receive, channel.send)
    assert channel.body == b"012345"


async def test_a_generator_is_closed_in_a_thread_when_its_client_leaves() -> None:
    client, closed_in = Client(), []

    def chunks() -> Iterator[bytes]:
        try:
            while True:
                time.sleep(0.01)
                yield b"x"
        finally:
            closed_in.append(threading.current_thread())

    await client.run(StreamingResponse(chunks()), build_scope(asgi=OLD), 0.1)
    [thread] = closed_in
    assert thread is not threading.main_thread()


async def test_a_scope_without_headers_is_one_without_a_body() -> None:
    channel = Channel()
    await StreamingResponse([b"a", b"b"])({"type": "http"}, channel.receive, channel.send)
    assert channel.body == b"ab"


async def test_a_list_is_sent_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a thread was used")

    monkeypatch.setattr("anyio.to_thread.run_sync", refuse)
    contents: list[Sequence[str | bytes]] = [["a", b"b"], ("a", b"b")]
    for content in contents:
        assert (await call(StreamingResponse(content), build_scope())).body == b"ab"
