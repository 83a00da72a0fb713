"""`HardenedWebSocketProtocol` where it differs from uvicorn's; `tests/corpus` has the attacks."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import anyio
import pytest

from framework.responses import PlainTextResponse
from framework.server import websockets as module
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocket, WebSocketDisconnect
from tests.framework.websockets.serving import (
    CONT,
    PING,
    PONG,
    TEXT,
    serve_app,
    serve_endpoint,
    wait_until,
)


async def echo(websocket: WebSocket[Any]) -> None:
    async with websocket:
        async for message in websocket:
            await websocket.send_text(f"{len(message)}")


def test_no_query_of_a_handshake_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serve_endpoint(echo, "hardened") as served:
        peer = served.connect()
        peer.send(TEXT, b"abc")
        assert peer.read_text() == "3"
    assert not [record for record in caplog.records if "accepted" in record.getMessage()]


def test_a_refusal_with_a_body_is_an_answer_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(websocket: WebSocket[Any]) -> None:
        await websocket.send_denial_response(PlainTextResponse("not you", 401))

    with serve_endpoint(refuse, "hardened") as served:
        peer = served.connect()
        assert peer.status == 401
        assert peer.data.endswith(b"not you")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_an_application_of_any_framework_is_told_that_its_client_was_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "text": "x"})
                await anyio.sleep(0.01)
        except Exception as exc:
            failures.append(exc)
            raise

    with serve_app(app, "hardened") as served:
        peer = served.connect()
        peer.send(TEXT, b"\xff")
        assert peer.read_closes() == [1007]
        wait_until(lambda: failures)
    assert isinstance(failures[0], OSError)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_few_pings_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PINGS_PER_SECOND", 3)
    with serve_endpoint(echo, "hardened") as served:
        peer = served.connect()
        for number in range(3):
            peer.send(PING, b"%d" % number)
            assert peer.read_frame() == (PONG, b"%d" % number)
        peer.send(PING, b"one too many")
        assert peer.read_frame() == (PONG, b"one too many")  # it was answered before it was counted
        assert peer.read_closes() == [1008]


def test_fragments_up_to_the_limit_are_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MESSAGE_FRAGMENTS", 3)
    with serve_endpoint(echo, "hardened") as served:
        peer = served.connect()
        for fragments, code in ((3, None), (4, 1009)):
            peer.send(TEXT, b"a", fin=False)
            for number in range(1, fragments):
                peer.send(CONT, b"b", fin=number == fragments - 1)
            if code is None:
                assert peer.read_text() == "3"
            else:
                assert peer.read_closes() == [code]


def test_a_refused_client_that_goes_on_sending_sees_why() -> None:
    codes: list[int] = []

    async def endpoint(websocket: WebSocket[Any]) -> None:
        try:
            async with websocket:
                await websocket.receive_bytes()
        except WebSocketDisconnect as exc:
            codes.append(exc.code)

    with serve_endpoint(endpoint, "hardened", ws_max_size=1000) as served:
        peer = served.connect()
        peer.send(TEXT, bytes(2_000_000))
        assert peer.read_closes() == [1009]
        wait_until(lambda: codes)
    assert codes == [1009]


def test_a_refused_client_that_never_stops_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINGER_BYTES", 100_000)
    monkeypatch.setattr(module, "LINGER_SECONDS", 60.0)
    with serve_endpoint(echo, "hardened", ws_max_size=1000) as served:
        peer = served.connect()
        with contextlib.suppress(OSError):  # a reset
            for _ in range(1000):
                peer.send(TEXT, bytes(100_000))
        wait_until(lambda: not served.server.server_state.connections)
