"""Hostile frames on a real socket: each file of `websockets/` is an attack and the end it has to have.

`send` is a list of texts (Latin-1), of frames (`{"frame": {"opcode": ..., "data": ...}}`), of a deflated
message, of `{"drip": ...}` (byte by byte) and of `{"repeat": ..., "times": n}`. `expect` has the status of
the handshake (101 unless said), the close codes that the client sees, and what is echoed. Every case runs
with both implementations that uvicorn maintains and with ours: `stock_waits` names those that let the
attack go on, `stock_traceback` those that log it as an error, and `other` what one of them does otherwise.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from framework.applications import App
from framework.routing import WebSocketRoute
from framework.server import websockets as hardened
from framework.websockets import WebSocket, WebSocketDisconnect
from tests.framework.websockets.serving import (
    BINARY,
    CLOSE,
    IMPLEMENTATIONS,
    PONG,
    TEXT,
    Peer,
    Served,
    build_frame,
    build_handshake,
    serve_app,
    serve_endpoint,
    wait_until,
)

CASES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "websockets").glob("*.json"))
}
MAX_MESSAGE_BYTES = 65_536


async def echo(websocket: WebSocket[Any]) -> None:
    chosen = "chat" if "chat" in websocket.scope["subprotocols"] else None
    await websocket.accept(chosen)
    async for message in websocket:
        kind = "text" if isinstance(message, str) else "binary"
        await websocket.send_text(f"{kind} {len(message)}")


async def read_json(websocket: WebSocket[Any]) -> None:
    async with websocket:
        await websocket.receive_json()


async def read_text(websocket: WebSocket[Any]) -> None:
    async with websocket:
        await websocket.receive_text()


@pytest.fixture(scope="module", params=list(IMPLEMENTATIONS))
def served(request: pytest.FixtureRequest) -> Iterator[tuple[str, Served]]:
    app = App(
        routes=[
            WebSocketRoute("/", echo),
            WebSocketRoute("/json", read_json),
            WebSocketRoute("/text", read_text),
        ]
    )
    with serve_app(app, request.param, ws_max_size=MAX_MESSAGE_BYTES) as served:
        yield request.param, served


def expand(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode("latin-1")
    if "repeat" in piece:
        return expand(piece["repeat"]) * int(piece["times"])
    if "join" in piece:
        return b"".join(map(expand, piece["join"]))
    if "deflated" in piece:
        packer = zlib.compressobj(wbits=-12)
        data = packer.compress(expand(piece["deflated"])) + packer.flush(zlib.Z_SYNC_FLUSH)
        return build_frame(BINARY, data.removesuffix(b"\0\0\xff\xff"), first=0x40)
    if "drip" in piece:
        return expand(piece["drip"])
    frame = dict(piece["frame"])
    return build_frame(frame.pop("opcode"), expand(frame.pop("data")), **frame)


def build_opening(case: dict[str, Any]) -> bytes:
    if "handshake" in case:
        return expand(case["handshake"])
    fields = [expand(field).decode("latin-1") for field in case.get("fields", ())]
    fields += [f"X-{number}: a" for number in range(case.get("many_fields", 0))]
    return build_handshake(*fields, path=case.get("path", "/"), version=case.get("version", "13"))


def send_all(peer: Peer, case: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # closed before all was sent
        for piece in case["send"]:
            data = expand(piece)
            if isinstance(piece, dict) and "drip" in piece:
                peer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in data:
                    peer.socket.sendall(bytes([byte]))
            else:
                peer.socket.sendall(data)


@pytest.mark.parametrize("name", CASES)
def test_an_attack_ends_as_it_should_and_the_next_client_is_served(
    name: str, served: tuple[str, Served], caplog: pytest.LogCaptureFixture
) -> None:
    implementation, server = served
    case = CASES[name]
    expected = {**case["expect"], **case.get("other", {}).get(implementation, {})}
    peer = Peer(server.port)
    server.peers.append(peer)
    if case.get("same_packet"):
        peer.open(build_opening(case) + b"".join(map(expand, case["send"])))
    else:
        peer.open(build_opening(case))
    assert peer.status == expected.get("status", 101)
    if peer.status == 101 and "status" not in expected:
        if not case.get("same_packet"):
            send_all(peer, case)
        if implementation not in case.get("stock_waits", ()):
            check_end(peer, expected, is_wsproto=implementation == "wsproto")
    if "subprotocol" in expected:
        assert (
            f"Sec-WebSocket-Protocol: {expected['subprotocol']}".lower() in str(peer.head).lower()
        )
    peer.close()
    if implementation not in case.get("stock_traceback", ()):
        told = [r for r in caplog.records if r.levelno > logging.DEBUG]
        assert not [r for r in told if r.exc_info or r.levelno >= logging.ERROR]
    neighbour = server.connect()
    neighbour.send(TEXT, b"abc")
    assert neighbour.read_text() == "text 3"
    neighbour.close()


def check_end(peer: Peer, expected: dict[str, Any], *, is_wsproto: bool) -> None:
    for text in expected.get("echoes", ()):
        assert peer.read_text() == text
    if not expected["closes"]:
        return
    frames = []
    while (frame := peer.read_frame()) is not None:
        frames.append(frame)
        if frame[0] == CLOSE:
            with contextlib.suppress(OSError):
                peer.send(*frame)
    codes = [int.from_bytes(data[:2], "big") for opcode, data in frames if opcode == CLOSE]
    # wsproto closes many of them without a word.
    assert len(codes) == 1 or (is_wsproto and not codes)
    assert set(codes) <= set(expected["closes"])
    pongs = sum(opcode == PONG for opcode, _ in frames)
    assert pongs <= expected.get("max_pongs", 0)


def test_a_client_that_never_reads_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """F7, for handlers that have no time-out of their own."""
    monkeypatch.setattr(hardened, "WS_STALLED_SECONDS", 0.5)
    ended = threading.Event()

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            async with websocket:
                while True:
                    await websocket.send_bytes(bytes(60_000))
        except WebSocketDisconnect:
            ended.set()

    with serve_endpoint(endpoint, "hardened") as served:
        served.connect(buffer=4096)
        assert ended.wait(4)
        wait_until(lambda: not served.server.server_state.connections)


def test_a_client_that_never_reads_pongs_costs_no_memory() -> None:
    with serve_endpoint(echo, "hardened") as served:
        peer = served.connect(buffer=4096)
        (connection,) = served.server.server_state.connections
        peer.socket.settimeout(0.3)
        with contextlib.suppress(OSError):
            for _ in range(200):
                peer.send(TEXT, b"a" * 60_000)
                peer.socket.sendall(build_frame(0x9, b"a" * 125) * 50)
        transport: Any = connection.transport
        assert transport.get_write_buffer_size() < 200_000


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_client_that_answers_no_ping_is_closed(implementation: str) -> None:
    """F8, and F9: a connection that drops all packets looks the same."""
    options = {"ws_ping_interval": 0.2, "ws_ping_timeout": 0.2}
    with serve_endpoint(echo, implementation, **options) as served:
        peer = served.connect()
        begun_at = time.monotonic()
        assert peer.read_closes() == [1011]
        assert time.monotonic() - begun_at < 2
        wait_until(lambda: not served.server.server_state.connections)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_a_silent_connection_is_closed(implementation: str) -> None:
    """F15."""

    async def endpoint(websocket: WebSocket[Any]) -> None:
        async with websocket.open(idle_timeout=0.3):
            await anyio.sleep_forever()

    with serve_endpoint(endpoint, implementation) as served:
        begun_at = time.monotonic()
        assert served.connect().read_closes() == [1001]
        assert time.monotonic() - begun_at < 2
