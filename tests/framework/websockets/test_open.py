"""`WebSocket.open`: queues, time-outs and what ends the block, against a server made of two functions."""

# ruff: noqa: PT012 -- the whole block is what raises

from __future__ import annotations

from typing import Any

import anyio
import pytest

from framework._defaults import MAX_WEBSOCKET_QUEUE_BYTES
from framework.types import Message
from framework.websockets import (
    Overflow,
    WebSocket,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketState,
)
from tests.framework.asgi import build_scope

pytestmark = pytest.mark.anyio

DISCONNECT: Message = {"type": "websocket.disconnect", "code": 1001, "reason": "tab closed"}


class Wire:
    """A server whose client sends what it is told to, and reads while `reads` is set."""

    def __init__(self, *texts: str) -> None:
        self.incoming, self.messages = anyio.create_memory_object_stream[Message](100)
        self.incoming.send_nowait({"type": "websocket.connect"})
        self.reads = anyio.Event()
        self.reads.set()
        self.sent: list[Message] = []
        self.is_gone = False
        for text in texts:
            self.say(text)

    def say(self, text: str) -> None:
        self.incoming.send_nowait({"type": "websocket.receive", "text": text})

    def leave(self) -> None:
        self.incoming.send_nowait(DISCONNECT)

    def stop_reading(self) -> None:
        self.reads = anyio.Event()

    async def receive(self) -> Message:
        return await self.messages.receive()

    async def send(self, message: Message) -> None:
        await anyio.lowlevel.checkpoint()
        if message["type"] != "websocket.accept":
            await self.reads.wait()
        if self.is_gone:
            raise OSError("gone")
        self.sent.append(message)

    @property
    def texts(self) -> list[str]:
        return [message["text"] for message in self.sent if message["type"] == "websocket.send"]

    @property
    def closes(self) -> list[int]:
        return [message["code"] for message in self.sent if message["type"] == "websocket.close"]

    def build(self) -> WebSocket[Any]:
        scope = {**build_scope(), "type": "websocket"}
        return WebSocket(scope, self.receive, self.send)

    def close(self) -> None:
        self.incoming.close()
        self.messages.close()


@pytest.fixture
def wire() -> Any:
    wire = Wire()
    yield wire
    wire.close()


async def test_the_block_accepts_and_closes(wire: Wire) -> None:
    websocket = wire.build()
    async with websocket.open("chat", [(b"x-a", b"b")]) as entered:
        assert entered is websocket
        assert websocket.is_open
    assert wire.sent[0]["subprotocol"] == "chat"
    assert wire.sent[0]["headers"] == [(b"x-a", b"b")]
    assert wire.closes == [1000]
    assert not websocket.is_open


async def test_an_error_of_the_block_stays_what_it_is(wire: Wire) -> None:
    with pytest.raises(LookupError, match="ours"):
        async with wire.build().open(inbox=1, outbox=1, idle_timeout=5):
            raise LookupError("ours")
    assert wire.closes == [1011]


async def test_an_accepted_websocket_is_not_accepted_again(wire: Wire) -> None:
    websocket = wire.build()
    await websocket.accept()
    async with websocket.open(), websocket:
        pass
    assert [message["type"] for message in wire.sent] == ["websocket.accept", "websocket.close"]


async def test_an_inbox_is_read_in_order_and_ends_with_the_client(wire: Wire) -> None:
    for text in "abc":
        wire.say(text)
    wire.leave()
    websocket = wire.build()
    async with websocket.open(inbox=2):
        await anyio.sleep(0.01)
        assert [message async for message in websocket] == ["a", "b", "c"]
    assert wire.closes == []
    assert websocket.client_state is WebSocketState.DISCONNECTED


async def test_a_full_inbox_stops_reading(wire: Wire) -> None:
    for number in range(10):
        wire.say(str(number))
    async with wire.build().open(inbox=2):
        await anyio.wait_all_tasks_blocked()
        # Two wait in the inbox and one before it.
        assert wire.messages.statistics().current_buffer_used == 7


@pytest.mark.parametrize(
    ("overflow", "expected"), [("drop_oldest", ["3", "4"]), ("drop_newest", ["0", "1"])]
)
async def test_an_inbox_that_drops_keeps_reading(
    overflow: Overflow, expected: list[str], wire: Wire
) -> None:
    for number in range(5):
        wire.say(str(number))
    websocket = wire.build()
    async with websocket.open(inbox=2, inbox_overflow=overflow):
        await anyio.wait_all_tasks_blocked()
        assert [await websocket.receive_text() for _ in range(2)] == expected
        wire.leave()
        with pytest.raises(WebSocketDisconnect):
            await websocket.receive_text()


async def test_too_many_messages_close(wire: Wire) -> None:
    for text in "abc":
        wire.say(text)
    with pytest.raises(WebSocketDisconnect) as caught:
        async with wire.build().open(inbox=2, inbox_overflow="close"):
            await anyio.sleep(5)
    assert (caught.value.code, caught.value.reason) == (1008, "Too many messages.")
    assert wire.closes == [1008]


async def test_the_end_of_the_client_ends_a_block_that_waits_for_something_else(
    wire: Wire,
) -> None:
    websocket = wire.build()
    with anyio.fail_after(2), pytest.raises(WebSocketDisconnect) as caught:
        async with websocket.open(inbox=1, stop_on_disconnect=True):
            wire.leave()
            await anyio.sleep_forever()
    assert (caught.value.code, caught.value.reason) == (1001, "tab closed")
    assert wire.closes == []


async def test_an_error_of_a_block_that_has_to_end_is_not_lost(wire: Wire) -> None:
    with anyio.fail_after(2), pytest.raises(LookupError, match="while it tidied up"):
        async with wire.build().open(inbox=1, stop_on_disconnect=True):
            wire.leave()
            try:
                await anyio.sleep_forever()
            finally:
                raise LookupError("while it tidied up")
    assert wire.closes == []


async def test_an_outbox_does_not_wait_and_is_sent_before_the_close(wire: Wire) -> None:
    wire.stop_reading()
    websocket = wire.build()
    async with websocket.open(outbox=8):
        with anyio.fail_after(1):
            for number in range(5):
                await websocket.send_text(str(number))
        assert wire.texts == []
        wire.reads.set()
        await websocket.close(4000)
        assert wire.texts == list("01234")
    assert wire.closes == [4000]


async def test_leaving_sends_what_waits(wire: Wire) -> None:
    websocket = wire.build()
    async with websocket.open(outbox=8):
        for number in range(5):
            await websocket.send_text(str(number))
    assert wire.texts == list("01234")
    assert wire.sent[-1]["code"] == 1000


# What a client gets that reads only after eight messages: the first is on its way when it stops.
POLICIES: dict[Overflow, list[str]] = {
    "drop_oldest": ["0", "6", "7"],
    "drop_newest": ["0", "1", "2"],
}


@pytest.mark.parametrize("overflow", POLICIES)
async def test_a_slow_client_misses_messages(overflow: Overflow, wire: Wire) -> None:
    wire.stop_reading()
    websocket = wire.build()
    async with websocket.open(outbox=2, overflow=overflow):
        for number in range(8):
            await websocket.send_text(str(number))
            await anyio.wait_all_tasks_blocked()
        wire.reads.set()
    assert wire.texts == POLICIES[overflow]


async def test_a_slow_client_is_closed(wire: Wire) -> None:
    wire.stop_reading()
    websocket = wire.build()
    with pytest.raises(WebSocketDisconnect) as caught:
        async with websocket.open(outbox=2):
            while True:
                await websocket.send_text("x")
                if len(wire.sent) == 1:
                    await anyio.lowlevel.checkpoint()
    assert caught.value.code == 1013
    # The client does not read the close frame either; that must not take long.
    assert wire.closes == []
    assert not websocket.is_open


async def test_a_sender_may_wait_for_a_slow_client(wire: Wire) -> None:
    wire.stop_reading()
    websocket = wire.build()
    async with websocket.open(outbox=2, overflow="wait"), anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(websocket.send_text, str(number))
        await anyio.wait_all_tasks_blocked()
        wire.reads.set()
    assert sorted(wire.texts) == list("01234567")


async def test_bytes_that_wait_are_bounded_too(wire: Wire) -> None:
    wire.stop_reading()
    websocket = wire.build()
    half = bytes(MAX_WEBSOCKET_QUEUE_BYTES // 2)
    with pytest.raises(WebSocketDisconnect):
        async with websocket.open(outbox=100):
            for number in range(1, 5):
                await websocket.send_bytes(half)
                await anyio.wait_all_tasks_blocked()
                assert number <= 3  # one is being sent and two wait


@pytest.mark.parametrize("outbox", [None, 4])
async def test_a_client_that_does_not_read_is_given_up(outbox: int | None, wire: Wire) -> None:
    wire.stop_reading()
    websocket = wire.build()
    with anyio.fail_after(1), pytest.raises(WebSocketDisconnect) as caught:
        async with websocket.open(outbox=outbox, send_timeout=0.05):
            await websocket.send_text("x")
            await anyio.sleep(5)
    assert caught.value.code == 1006
    assert wire.sent[1:] == []


@pytest.mark.parametrize("outbox", [None, 4])
async def test_a_client_that_is_gone_ends_the_block(outbox: int | None, wire: Wire) -> None:
    websocket = wire.build()
    with anyio.fail_after(1), pytest.raises(WebSocketDisconnect) as caught:
        async with websocket.open(outbox=outbox):
            wire.is_gone = True
            await websocket.send_text("x")
            await anyio.sleep(5)
    assert caught.value.code == 1006


@pytest.mark.parametrize("inbox", [None, 4])
async def test_silence_closes_but_not_while_one_of_them_speaks(
    inbox: int | None, wire: Wire
) -> None:
    websocket = wire.build()
    begun_at = anyio.current_time()
    with anyio.fail_after(8), pytest.raises(WebSocketDisconnect) as caught:
        async with websocket.open(inbox=inbox, idle_timeout=1):
            for number in range(5):
                if number % 2:
                    await websocket.send_text("x")
                else:
                    wire.say("y")
                    await websocket.receive_text()
                await anyio.sleep(0.3)
            await websocket.receive_text()
    assert (caught.value.code, wire.closes) == (1001, [1001])
    assert 2.1 < anyio.current_time() - begun_at < 3.5


async def test_a_cancelled_block_closes(wire: Wire) -> None:
    with anyio.CancelScope() as scope:
        async with wire.build().open(inbox=1, outbox=1):
            scope.cancel()
            await anyio.sleep_forever()
    assert wire.closes == [1011]


async def test_after_the_block_the_websocket_is_closed_and_quiet(wire: Wire) -> None:
    websocket = wire.build()
    async with websocket.open(outbox=1):
        pass
    await websocket.close()
    with pytest.raises(RuntimeError):
        await websocket.send_text("late")
    assert wire.closes == [1000]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"inbox": 0}, "inbox=0"),
        ({"outbox": -1}, "outbox=-1"),
        ({"outbox": 1, "overflow": "drop"}, "'drop' of outbox"),
        ({"inbox": 1, "inbox_overflow": "drop"}, "'drop' of inbox"),
        ({"idle_timeout": 0}, "idle_timeout=0"),
        ({"send_timeout": -1}, "send_timeout=-1"),
        ({"stop_on_disconnect": True}, "needs an inbox"),
    ],
)
async def test_wrong_options_are_refused_at_once(
    options: dict[str, Any], text: str, wire: Wire
) -> None:
    with pytest.raises(ValueError, match=text):
        wire.build().open(**options)


async def test_a_reason_is_cut_to_what_a_frame_has_room_for(wire: Wire) -> None:
    websocket = wire.build()
    await websocket.accept()
    await websocket.close(4000, "é" * 100)
    assert wire.sent[-1]["reason"] == "é" * 61


async def test_a_reason_that_is_no_text_is_sent_as_one(wire: Wire) -> None:
    websocket = wire.build()
    errors: Any = [{"type": "missing", "loc": ["query", "id"]}]  # as FastAPI does
    await websocket.close(1008, errors)
    assert wire.sent[-1]["reason"] == str(errors)


@pytest.mark.parametrize("way", ["receive", "iterate"])
async def test_the_end_is_still_received_when_nothing_can_be_sent_any_more(
    way: str, wire: Wire
) -> None:
    """The task that receives need not be the one that has sent: members of a room send to each other."""
    websocket = wire.build()
    await websocket.accept()
    wire.is_gone = True
    wire.leave()
    with pytest.raises(WebSocketDisconnect):
        await websocket.send_text("a")
    if way == "iterate":
        assert [message async for message in websocket] == []
    else:
        with pytest.raises(WebSocketDisconnect) as caught:
            await websocket.receive_text()
        assert caught.value.code == 1001
    with pytest.raises(WebSocketDisconnected):
        await websocket.receive_text()


async def test_the_iteration_ends_when_another_task_has_closed_the_websocket(wire: Wire) -> None:
    websocket = wire.build()
    await websocket.accept()
    wire.say("a")
    async for message in websocket:
        assert message == "a"
        await websocket.close(4000)  # as another task would, before the next message is asked for
    with pytest.raises(WebSocketDisconnected):
        await websocket.receive_text()
