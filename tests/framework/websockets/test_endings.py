"""How a WebSocket ends, on the wire, with each implementation; and that none of it is a traceback."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from framework.applications import App
from framework.endpoints import WebSocketEndpoint
from framework.exceptions import HTTPException, WebSocketException
from framework.routing import WebSocketRoute
from framework.websockets import WebSocket, WebSocketDisconnect
from tests.framework.websockets.serving import (
    BINARY,
    CLOSE,
    IMPLEMENTATIONS,
    TEXT,
    Endpoint,
    Served,
    build_frame,
    serve_app,
    serve_endpoint,
    wait_until,
)


@pytest.fixture(params=list(IMPLEMENTATIONS))
def implementation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def leave(websocket: WebSocket[Any]) -> None:
    await websocket.accept()


async def leave_block(websocket: WebSocket[Any]) -> None:
    async with websocket as entered:
        assert entered is websocket


async def fail(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    raise LookupError("ours")


async def fail_in_block(websocket: WebSocket[Any]) -> None:
    async with websocket:
        raise LookupError("ours")


async def read_text(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    await websocket.receive_text()


async def read_text_in_group(websocket: WebSocket[Any]) -> None:
    async with websocket, anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep_forever)
        await websocket.receive_text()


async def read_json(websocket: WebSocket[Any]) -> None:
    async with websocket.open(inbox=2):
        await websocket.receive_json()


async def refuse(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    raise HTTPException(404, "x" * 500)


async def overload(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    raise HTTPException(503)


async def choose(websocket: WebSocket[Any]) -> None:
    async with websocket:
        raise WebSocketException(4001, "chosen")


async def close_twice(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(websocket.close, 4002)
        tasks.start_soon(websocket.close, 4003)


class Reader(WebSocketEndpoint):
    """Reads text."""

    encoding = "text"


# The endpoint, what the client sends, the code it gets, and whether that is an error of ours.
ENDINGS: dict[str, tuple[Endpoint, bytes | None, int, bool]] = {
    "left": (leave, None, 1000, False),
    "left block": (leave_block, None, 1000, False),
    "failed": (fail, None, 1011, True),
    "failed in block": (fail_in_block, None, 1011, True),
    "binary for text": (read_text, b"\xff", 1003, False),
    "binary for text in a group": (read_text_in_group, b"\xff", 1003, False),
    "binary for the text of a class": (Reader, b"\xff", 1003, False),  # type: ignore[dict-item]
    "no json": (read_json, b"{", 1007, False),
    "refused": (refuse, None, 1008, False),
    "overloaded": (overload, None, 1013, False),
    "chosen": (choose, None, 4001, False),
    "closed twice": (close_twice, None, 4002, False),
}


def list_tracebacks(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info or record.levelno > 20]


@pytest.mark.parametrize("name", ENDINGS)
def test_an_end_has_its_code(
    name: str, implementation: str, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint, data, code, is_error = ENDINGS[name]
    with serve_endpoint(endpoint, implementation) as served:
        peer = served.connect()
        if data is not None:
            peer.send(TEXT if data == b"{" else BINARY, data)
        assert peer.read_closes() == [code]
    assert len(list_tracebacks(caplog)) == is_error


def test_a_message_that_is_too_large_is_1009(
    implementation: str, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []

    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        try:
            await websocket.receive_bytes()
        except WebSocketDisconnect as exc:
            seen.append(exc.code)
            raise

    with serve_endpoint(endpoint, implementation, ws_max_size=1000) as served:
        peer = served.connect()
        peer.send(BINARY, bytes(1001))
        assert peer.read_closes() == [1009]
    assert seen == [1009]
    assert not list_tracebacks(caplog)


GONE = ("receive", "iterate", "send", "group", "senders")


@pytest.mark.parametrize("way", GONE)
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_has_gone_is_no_error(
    way: str, end: str, implementation: str, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            await websocket.accept()
            if way == "receive":
                await websocket.receive_text()
            elif way == "iterate":
                messages = [message async for message in websocket]
                assert messages == ["a", b"b"] or end == "reset"
            elif way == "send":
                while True:
                    await websocket.send_text("x")
                    await anyio.sleep(0.01)
            else:
                async with anyio.create_task_group() as tasks:
                    if way == "group":
                        tasks.start_soon(websocket.receive_json)
                    else:
                        tick = anyio.Event()
                        for _ in range(3):
                            tasks.start_soon(send_with_others, websocket, tick)
                        await anyio.sleep(0.1)
                        tick.set()
                    await anyio.sleep_forever()
        finally:
            ended.set()

    async def send_with_others(websocket: WebSocket[Any], tick: anyio.Event) -> None:
        await tick.wait()
        await websocket.send_text("x")

    with serve_endpoint(endpoint, implementation) as served:
        peer = served.connect()
        if way == "iterate":
            peer.send(TEXT, b"a")
            peer.send(BINARY, b"b")
        if end == "close":
            peer.send_close(1001)
        else:
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        assert ended.wait(5)
    assert not [record for record in caplog.records if record.exc_info]


REFUSED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "unmasked": (b"\x81\x01a", {}),
    "a code that is none": (build_frame(CLOSE, struct.pack("!H", 999)), {}),
    "too large": (build_frame(BINARY, bytes(1001)), {"ws_max_size": 1000}),
    "no pong": (b"", {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1}),
}


@pytest.mark.parametrize("way", ["send", "outbox", "leave"])
@pytest.mark.parametrize("name", REFUSED)
def test_what_the_server_refuses_is_no_error_of_an_endpoint_that_does_not_read(
    name: str, way: str, implementation: str, caplog: pytest.LogCaptureFixture
) -> None:
    ended = threading.Event()

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            async with websocket.open(outbox=16 if way == "outbox" else None):
                until = anyio.current_time() + (0.5 if way == "leave" else 5)
                while anyio.current_time() < until:
                    if way != "leave":
                        await websocket.send_text("x")
                    await anyio.sleep(0.01)
        finally:
            ended.set()

    frame, settings = REFUSED[name]
    with serve_endpoint(endpoint, implementation, **settings) as served:
        peer = served.connect()
        peer.socket.sendall(frame)
        peer.read_closes()
        assert ended.wait(3)
    assert not list_tracebacks(caplog)


@pytest.mark.parametrize("code", [-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 70000])
def test_a_code_that_cannot_be_sent_is_an_error_and_closes_1011(
    code: int, implementation: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        if code % 2:
            raise WebSocketException(code)
        await websocket.close(code)

    with serve_endpoint(endpoint, implementation) as served:
        assert served.connect().read_closes() == [1011]
    (record,) = list_tracebacks(caplog)
    assert record.exc_info
    assert str(record.exc_info[1]).startswith(f"code={code} cannot be sent")


@pytest.mark.parametrize("way", ["receive", "send", "inbox"])
def test_a_stop_is_1012_and_the_endpoint_is_told(way: str, implementation: str) -> None:
    told: list[object] = []

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            if way == "receive":
                await websocket.accept()
                await websocket.receive_text()
            elif way == "send":
                async with websocket:
                    while True:
                        await websocket.send_text("x")
                        await anyio.sleep(0.01)
            else:
                async with websocket.open(inbox=1, stop_on_disconnect=True):
                    await anyio.sleep_forever()
        except WebSocketDisconnect as exc:
            told.append(exc.code)
            raise

    with serve_endpoint(endpoint, implementation) as served:
        peer = served.connect()
        if way == "send":
            peer.read_text()
        wait_until(lambda: served.server.server_state.tasks)
        begun_at = time.monotonic()
        served.server.should_exit = True
        assert peer.read_closes() == [1012]
        wait_until(lambda: told)
        assert time.monotonic() - begun_at < 1.5
    assert told == [1006 if way == "send" else 1012]


@pytest.fixture
def guarded(implementation: str) -> Iterator[Served]:
    app = App(
        routes=[
            WebSocketRoute("/", leave, allowed_origins=["https://www.example.com"]),
        ]
    )
    with serve_app(app, implementation) as served:
        yield served


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((), 101),
        (("Origin: http://a",), 101),
        (("Origin: https://www.example.com",), 101),
        (("Origin: https://www.example.com:444",), 403),
        (("Origin: https://evil.example",), 403),
        (("Origin: null",), 403),
        (("Origin: https://www.example.com.evil.example",), 403),
        (("Origin: https://evil.example", "Sec-Fetch-Site: cross-site"), 403),
    ],
)
def test_only_pages_of_allowed_origins_open_it(
    fields: tuple[str, ...], status: int, guarded: Served
) -> None:
    peer = guarded.connect(*fields)
    assert peer.status == status


def test_a_close_of_the_client_is_answered_with_its_code(implementation: str) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        async with websocket:
            assert [message async for message in websocket] == []

    with serve_endpoint(endpoint, implementation) as served:
        peer = served.connect()
        peer.send_close(4000)
        assert peer.read_frame() == (CLOSE, struct.pack("!H", 4000))
        assert peer.read_frame() is None
