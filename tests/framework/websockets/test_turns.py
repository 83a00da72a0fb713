"""WebSockets that never wait, of either side: others get their turn, and who waits is let go."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework._defaults import MESSAGES_BETWEEN_CHECKPOINTS
from framework.exceptions import WebSocketDisconnect
from framework.types import Message
from framework.websockets import WebSocket

pytestmark = pytest.mark.anyio


class Fast:
    """A server whose client sends so many messages without a pause, and takes all at once."""

    def __init__(self, number: int) -> None:
        self.is_connected = False
        self.left = number
        self.sent = 0

    async def receive(self) -> Message:
        if self.is_connected:
            self.left -= 1
            if self.left < 0:
                return {"type": "websocket.disconnect", "code": 1000}
            return {"type": "websocket.receive", "text": "x"}
        self.is_connected = True
        return {"type": "websocket.connect"}

    async def send(self, message: Message) -> None:
        self.sent += message["type"] == "websocket.send"


async def send_texts(websocket: WebSocket[Any], number: int) -> None:
    for _ in range(number):
        await websocket.send_text("x")


async def receive_texts(websocket: WebSocket[Any], number: int) -> None:
    for _ in range(number):
        await websocket.receive_text()


async def iterate(websocket: WebSocket[Any], number: int) -> None:
    assert len([text async for text in websocket.iter_text()]) == number


async def leave_after_each(websocket: WebSocket[Any], number: int) -> None:
    for _ in range(number):
        texts: Any = websocket.iter_text()
        async with contextlib.aclosing(texts):
            assert await anext(texts) == "x"


@pytest.mark.parametrize("use", [send_texts, receive_texts, iterate, leave_after_each])
async def test_others_get_their_turn(use: Callable[[WebSocket[Any], int], Any]) -> None:
    number = 100 * MESSAGES_BETWEEN_CHECKPOINTS
    server = Fast(number)
    websocket: WebSocket[Any] = WebSocket({"type": "websocket"}, server.receive, server.send)
    await websocket.accept()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await anyio.lowlevel.checkpoint()
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await use(websocket, number)
        tasks.cancel_scope.cancel()
    assert turns >= 90


class Silent:
    """A server whose client reads nothing, and goes when it is told to."""

    def __init__(self) -> None:
        self.is_connected = False
        self.gone = anyio.Event()

    async def receive(self) -> Message:
        if self.is_connected:
            await self.gone.wait()
            return {"type": "websocket.disconnect", "code": 1001}
        self.is_connected = True
        return {"type": "websocket.connect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.send":
            await anyio.sleep_forever()


@pytest.mark.parametrize("end", ["disconnect", "send_timeout", "idle_timeout", "error"])
async def test_a_task_of_others_that_waits_for_a_place_is_let_go_at_the_end(end: str) -> None:
    server = Silent()
    websocket: WebSocket[Any] = WebSocket({"type": "websocket"}, server.receive, server.send)
    options: dict[str, Any] = {end: 0.2} if end.endswith("timeout") else {}
    if end == "idle_timeout":
        options["send_timeout"] = 0.3
    refusals: list[Exception] = []

    async def broadcast() -> None:
        try:
            for number in range(10):
                await websocket.send_text(str(number))
        except WebSocketDisconnect as exc:
            refusals.append(exc)

    async def serve(tasks: anyio.abc.TaskGroup) -> None:
        with contextlib.suppress(WebSocketDisconnect, LookupError):
            async with websocket.open(
                inbox=4, outbox=2, overflow="wait", stop_on_disconnect=True, **options
            ):
                tasks.start_soon(broadcast)
                await anyio.sleep(0.05)
                if end == "disconnect":
                    server.gone.set()
                if end == "error":
                    raise LookupError("error")
                await anyio.sleep_forever()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await serve(tasks)
    assert len(refusals) == 1


async def test_a_client_that_takes_its_time_is_not_idle() -> None:
    server = Fast(0)
    sent: list[str] = []
    done = anyio.Event()

    async def receive() -> Message:
        if not server.is_connected:
            return await server.receive()
        await anyio.sleep_forever()
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            await anyio.sleep(0.1)
            sent.append(message["text"])
            if len(sent) == 8:
                done.set()

    websocket: WebSocket[Any] = WebSocket({"type": "websocket"}, receive, send)
    async with websocket.open(outbox=10, idle_timeout=0.25):
        for number in range(8):
            await websocket.send_text(str(number))
        with anyio.fail_after(10):
            await done.wait()
    assert sent == [str(number) for number in range(8)]
