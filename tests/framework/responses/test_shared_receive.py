"""A response that watches its client leaves the body of the request to those who read it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from framework.requests import Request
from framework.responses import StreamingResponse
from framework.types import Message, Scope
from tests.framework.asgi import Channel, build_scope

pytestmark = pytest.mark.anyio


class Uploader:
    """A client that sends a body piece by piece, as servers hand it on, then leaves when told to."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.arrived: list[bytes] = []
        self.left = False
        self.news = anyio.Event()
        self.messages: list[Message] = []
        self.last = 0

    def arrive(self, piece: bytes = b"", *, left: bool = False) -> None:
        self.arrived += [piece] if piece else []
        self.left = self.left or left
        self.news.set()
        self.news = anyio.Event()

    async def upload(self, interval: float) -> None:
        for piece in self.pieces:
            await anyio.sleep(interval)
            self.arrive(piece)

    async def receive(self) -> Message:
        while not self.arrived:
            if self.left:
                return {"type": "http.disconnect"}
            await self.news.wait()
        self.last += 1
        more_body = self.last < len(self.pieces)
        return {"type": "http.request", "body": self.arrived.pop(0), "more_body": more_body}

    async def send(self, message: Message) -> None:
        self.messages.append(message)


# Before ASGI 2.4 nobody but `receive` tells that the client has gone.
OLD = {"version": "3.0", "spec_version": "2.3"}
POST = build_scope("/", "POST", ("content-length", "6"), asgi=OLD)
POST_2 = build_scope("/", "POST", asgi=OLD, http_version="2")


@pytest.mark.parametrize("pause", [0, 0.03])
@pytest.mark.parametrize("by_receive", [False, True])
@pytest.mark.parametrize("post", [POST, POST_2], ids=["HTTP/1.1", "HTTP/2"])
async def test_a_watched_stream_may_read_the_body_while_it_is_sent(
    post: Scope, by_receive: bool, pause: float
) -> None:
    """Neither reader nor watcher takes anything from the other, whoever waits first."""
    client = Uploader(*[b"%d" % number for number in range(8)])
    scope = dict(post)
    request: Request[Any] = Request(scope, client.receive, client.send)

    async def echo() -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            await anyio.sleep(pause)
            yield chunk

    async def echo_messages() -> AsyncIterator[bytes]:
        while True:
            message = await request.receive()
            await anyio.sleep(pause)
            yield message["body"]
            if not message["more_body"]:
                return

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.upload, 0.02)
        response = StreamingResponse(echo_messages() if by_receive else echo())
        with anyio.fail_after(5):
            await response(scope, client.receive, client.send)
    sent = [message["body"] for message in client.messages[1:] if message["body"]]
    assert sent == client.pieces


async def test_what_came_while_nobody_read_can_be_read_afterwards() -> None:
    client = Uploader(b"a", b"b")
    scope = dict(POST)
    request: Request[Any] = Request(scope, client.receive, client.send)

    async def chunks() -> AsyncIterator[bytes]:
        with anyio.fail_after(10):
            while client.last < 2:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        yield b"done"

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.upload, 0.02)
        await StreamingResponse(chunks())(scope, client.receive, client.send)
    assert not client.arrived
    assert await request.body() == b"ab"


async def test_a_client_that_leaves_an_unread_body_is_noticed() -> None:
    client = Uploader(b"a", b"b")
    is_closed = False

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal is_closed
        try:
            yield b"first"
            await anyio.sleep_forever()
        finally:
            is_closed = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.upload, 0.03)
        with anyio.fail_after(5):
            tasks.start_soon(StreamingResponse(chunks()), dict(POST), client.receive, client.send)
            await anyio.sleep(0.2)
            client.arrive(left=True)
    assert is_closed


async def test_only_so_much_is_kept_of_a_body_that_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("framework.responses._watching.MAX_WATCHED_BODY_BYTES", 2)
    client = Uploader(*[b"x"] * 10)
    for piece in client.pieces:
        client.arrive(piece)
    client.left = True
    scope = dict(POST)
    request: Request[Any] = Request(scope, client.receive, client.send)
    waiting = anyio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"first"
        with anyio.fail_after(10):
            while len(client.arrived) > 7:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        await anyio.sleep(0.15)
        assert len(client.arrived) == 7
        # Reading lets the watcher go on, up to the end of the body and of the connection.
        assert await request.body() == b"x" * 10
        yield b"second"
        waiting.set()
        await anyio.sleep_forever()

    with anyio.fail_after(20):
        await StreamingResponse(chunks())(scope, client.receive, client.send)
    assert waiting.is_set()


async def test_a_request_with_another_receive_keeps_it() -> None:
    client = Uploader(b"a")
    scope = dict(POST)
    await StreamingResponse(["x"])(scope, Channel().receive, client.send)
    client.arrive(b"a")
    assert await Request(scope, client.receive).body() == b"a"
