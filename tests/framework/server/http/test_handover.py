"""Connections that turn from HTTP to WebSocket, beside other requests and a stop."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from framework.applications import App
from framework.requests import Request
from framework.responses import Response
from framework.routing import Route, WebSocketRoute
from framework.server.websockets import HardenedWebSocketProtocol
from framework.websockets import WebSocket
from tests.framework.server.http.serving import (
    Build,
    Running,
    build_protocol,
    build_zttp,
    read_to_end,
    serve,
)
from tests.framework.websockets.serving import TEXT, Peer, build_frame, build_handshake, wait_until

LARGE = b"x" * (16 << 20)
CHUNK = b"y" * 65536


@pytest.fixture(params=[build_protocol, build_zttp], ids=["httptools", "zttp"])
def build(request: pytest.FixtureRequest) -> Build:
    return cast(Build, request.param)


async def large(request: Request[Any]) -> Response:
    return Response(LARGE)


async def echo(websocket: WebSocket[Any]) -> None:
    async with websocket:
        async for message in websocket:
            await websocket.send_text(str(message))


@contextlib.contextmanager
def serve_sockets(build: Build, endpoint: Any = echo, **settings: Any) -> Iterator[Running]:
    app = App(routes=[WebSocketRoute("/", endpoint), Route("/large", large)])
    with serve(app, build(), ws=HardenedWebSocketProtocol, **settings) as running:
        yield running


@pytest.mark.parametrize("split", [0, 1, 40, -2])
def test_a_handshake_may_follow_another_request(build: Build, split: int) -> None:
    data = build_handshake() + build_frame(TEXT, b"hello")
    with serve_sockets(build) as running, contextlib.closing(Peer(running.port)) as peer:
        peer.socket.sendall(b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b" 404 " in peer.read_head()
        peer.data = peer.data.removeprefix(b"Not Found")
        if split:
            peer.socket.sendall(data[:split])
            time.sleep(0.05)
        peer.socket.sendall(data[split:])
        assert b" 101 " in peer.read_head()
        assert peer.read_text() == "hello"


def test_a_client_that_has_not_taken_an_answer_is_waited_for_by_its_websocket(
    build: Build,
) -> None:
    sent = 0

    async def flood(websocket: WebSocket[Any]) -> None:
        nonlocal sent
        await websocket.accept()
        for _ in range(800):
            await websocket.send_bytes(CHUNK)
            sent += len(CHUNK)

    with (
        serve_sockets(build, flood) as running,
        contextlib.closing(Peer(running.port, 65536)) as peer,
    ):
        peer.socket.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: running.server.server_state.total_requests)
        peer.socket.sendall(build_handshake())
        wait_until(lambda: running.server.server_state.tasks)
        time.sleep(0.3)
        assert sent <= len(CHUNK)
        assert peer.read_head().startswith(b"HTTP/1.1 200")
        while len(peer.data) < len(LARGE):
            peer.data += peer.socket.recv(1 << 20)
        peer.data = peer.data[len(LARGE) :]
        assert b" 101 " in peer.read_head()
        for _ in range(800):
            frame = peer.read_frame()
            assert frame is not None
            assert frame[1] == CHUNK


@pytest.mark.parametrize("begun", [0, 20, -2])
def test_a_stop_does_not_wait_for_a_handshake_that_comes_during_it(
    build: Build, begun: int, caplog: pytest.LogCaptureFixture
) -> None:
    handshake = build_handshake()
    begun %= len(handshake)
    with serve_sockets(build) as running, contextlib.closing(Peer(running.port)) as peer:
        running.server.config.timeout_graceful_shutdown = 8
        peer.socket.sendall(handshake[:begun])
        wait_until(lambda: running.server.server_state.connections)
        time.sleep(0.1)
        running.server.should_exit = True
        began = time.monotonic()
        time.sleep(0.3)
        with contextlib.suppress(OSError):
            peer.socket.sendall(handshake[begun:])
            read_to_end(peer.socket)
    assert time.monotonic() - began < 4
    assert "Exception in ASGI application" not in caplog.text
