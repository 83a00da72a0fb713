"""Queues and time-outs against real clients, with each implementation."""

from __future__ import annotations

import threading
import time
from typing import Any

import anyio
import pytest

from framework.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected
from tests.framework.websockets.serving import (
    IMPLEMENTATIONS,
    PING,
    PONG,
    TEXT,
    serve_endpoint,
    wait_until,
)

pytestmark = pytest.mark.parametrize("implementation", list(IMPLEMENTATIONS))


def test_a_handler_that_only_sends_answers_pings_and_sees_the_close(implementation: str) -> None:
    seen: list[float] = []

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            async with websocket.open(inbox=16, stop_on_disconnect=True):
                await websocket.send_text("begin")
                await anyio.sleep_forever()
        finally:
            seen.append(time.monotonic())

    # The server asks for pongs itself; a message that nobody receives must not keep it from reading them.
    options = {"ws_ping_interval": 0.2, "ws_ping_timeout": 1}
    with serve_endpoint(endpoint, implementation, **options) as served:
        peer = served.connect()
        assert peer.read_text() == "begin"
        peer.send(TEXT, b"unread")
        peer.send(PING, b"are you there")
        answers = [peer.read_frame()]
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            frame = peer.read_frame()
            assert frame is not None
            if frame[0] == PING:
                peer.send(PONG, frame[1])
            answers.append(frame)
        assert (PONG, b"are you there") in answers
        assert not seen
        left_at = time.monotonic()
        peer.send_close(1000)
        wait_until(lambda: seen)
    assert seen[0] - left_at < 1


def test_a_client_that_stops_reading_is_given_up(implementation: str) -> None:
    ended: list[int] = []

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            async with websocket.open(send_timeout=0.5):
                while True:
                    await websocket.send_bytes(bytes(60_000))
        except WebSocketDisconnect as exc:
            ended.append(exc.code)

    with serve_endpoint(endpoint, implementation) as served:
        begun_at = time.monotonic()
        served.connect(buffer=4096)
        wait_until(lambda: ended)
        assert time.monotonic() - begun_at < 3
    assert ended == [1006]


def test_one_stalled_reader_does_not_hold_up_the_others(implementation: str) -> None:
    others: list[WebSocket[Any]] = []
    closed: list[int] = []
    received = [0] * 3
    messages, size = 120, 60_000

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            async with websocket.open(inbox=1, outbox=8, stop_on_disconnect=True):
                others.append(websocket)
                await anyio.sleep_forever()
        except WebSocketDisconnect as exc:
            others.remove(websocket)
            closed.append(exc.code)

    async def publish(websocket: WebSocket[Any]) -> None:
        async with websocket:
            for _ in range(messages):
                for other in tuple(others):
                    try:
                        await other.send_bytes(bytes(size))
                    except (WebSocketDisconnect, WebSocketDisconnected):
                        continue
                await anyio.sleep(0.005)

    async def choose(websocket: WebSocket[Any]) -> None:
        await (publish if "x-publish" in websocket.headers else endpoint)(websocket)

    with serve_endpoint(choose, implementation) as served:
        served.connect(buffer=4096)
        good = [served.connect() for _ in received]
        wait_until(lambda: len(others) == 4)

        def read(number: int) -> None:
            while received[number] < messages and good[number].read_frame() is not None:
                received[number] += 1

        readers = [threading.Thread(target=read, args=(number,)) for number in range(len(good))]
        for reader in readers:
            reader.start()
        served.connect("X-Publish: 1")
        for reader in readers:
            reader.join(8)
        assert received == [messages] * len(good)
        wait_until(lambda: closed)
        assert closed == [1013]
