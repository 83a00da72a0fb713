from __future__ import annotations

import asyncio
import contextvars
import gc
import json
import socket
import struct
import threading
import time
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from framework.observability._access import access_lines
from framework.observability.health import readiness
from framework.server.websockets import HardenedWebSocketProtocol
from framework.types import Receive, Scope, Send
from tests.framework.server.http.serving import (
    GET,
    LAST_GET,
    STOCK,
    Build,
    Running,
    answer_with,
    build_protocol,
    build_zttp,
    echo,
    read_responses,
    read_to_end,
    run_app,
    serve,
    wait_for,
)
from tests.framework.websockets.serving import build_handshake

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.fixture(params=[build_protocol, build_zttp], ids=["httptools", "zttp"])
def build(request: pytest.FixtureRequest) -> Build:
    return cast(Build, request.param)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with serve(echo, build_protocol()) as server:
        yield server


# Deadlines


def test_a_connection_without_a_request_is_closed(build: Build) -> None:
    with serve(echo, build(first_byte_seconds=1)) as server, server.connect() as client:
        assert read_to_end(client) == b""


def test_an_idle_connection_is_closed_after_the_keep_alive_time(build: Build) -> None:
    with serve(echo, build(), timeout_keep_alive=1) as server, server.connect() as client:
        client.sendall(GET)
        [(status, _, _)] = read_responses(read_to_end(client))
        assert status == 200


@pytest.mark.parametrize("begin", [GET[:-2], b"GET", POST[:-9]])
def test_a_header_that_does_not_end_is_answered_with_408(build: Build, begin: bytes) -> None:
    with serve(echo, build(header_seconds=1)) as server, server.connect() as client:
        client.sendall(begin)
        assert [status for status, _, _ in read_responses(read_to_end(client))] == [408]


def test_a_body_that_comes_too_slowly_is_answered_with_408_and_the_application_told(
    build: Build,
) -> None:
    told: list[str] = []

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        message = {"more_body": True, "type": ""}
        while message.get("more_body"):
            message = dict(await receive())
        told.append(str(message["type"]))

    with serve(read, build(body_grace_seconds=1)) as server, server.connect() as client:
        client.sendall(POST + b"Content-Length: 9000\r\n\r\nabc")
        assert [status for status, _, _ in read_responses(read_to_end(client))] == [408]
    assert told == ["http.disconnect"]


def test_a_body_that_stalls_after_a_fast_start_is_answered_with_408(build: Build) -> None:
    with serve(echo, build(body_grace_seconds=1)) as server, server.connect() as client:
        client.sendall(POST + b"Content-Length: 900000\r\n\r\n" + b"x" * 500_000)
        assert [status for status, _, _ in read_responses(read_to_end(client))] == [408]


def test_a_body_at_a_fair_rate_is_not_too_slow(build: Build) -> None:
    with serve(echo, build(body_grace_seconds=1)) as server, server.connect() as client:
        client.sendall(POST + b"Content-Length: 6000\r\nConnection: close\r\n\r\n")
        for _ in range(6):
            client.sendall(b"x" * 1000)
            time.sleep(0.5)
        [(status, _, body)] = read_responses(read_to_end(client))
    assert status == 200
    assert json.loads(body)["body_bytes"] == 6000


def test_a_client_that_does_not_read_is_cut_off(build: Build) -> None:
    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(1000):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    with serve(flood, build(stalled_seconds=1)) as server, server.connect() as client:
        client.sendall(GET)
        wait_for(lambda: server.server.server_state.connections)
        wait_for(lambda: not server.server.server_state.connections)
        wait_for(lambda: not server.server.server_state.tasks)


def test_the_stock_protocol_waits_for_ever_for_a_header() -> None:
    with serve(echo, STOCK, timeout_keep_alive=1) as server, server.connect() as client:
        client.settimeout(3)
        client.sendall(GET[:-2])
        with pytest.raises(TimeoutError):
            client.recv(1)


# Requests


def test_a_request_in_pieces_is_one_request(running: Running) -> None:
    request = POST + b"Content-Length: 5\r\nConnection: close\r\n\r\nhello"
    with running.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request:
            client.sendall(bytes([byte]))
        [(status, _, body)] = read_responses(read_to_end(client))
    assert status == 200
    assert json.loads(body)["body_bytes"] == 5


def test_requests_behind_each_other_are_answered_in_their_order(build: Build) -> None:
    async def delay(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.2 if scope["path"] == "/0" else 0)
        await answer_with(send, scope["path"].encode())

    requests = [b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(16)]
    answer = run_app(delay, b"".join(requests) + LAST_GET, build=build)
    bodies = [body for _, _, body in read_responses(answer)]
    assert bodies == [*(b"/%d" % number for number in range(16)), b"/"]


def test_a_context_variable_of_one_request_is_not_seen_by_the_next(build: Build) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="fresh")

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen = variable.get()
        variable.set("used")
        await answer_with(send, seen.encode())

    data = run_app(look, GET + GET + LAST_GET, build=build)
    assert [body for _, _, body in read_responses(data)] == [b"fresh"] * 3


def test_a_body_nobody_reads_does_not_disturb_the_next_request(build: Build) -> None:
    async def ignore(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, scope["method"].encode())

    body = b"x" * 300_000
    data = run_app(
        ignore, POST + b"Content-Length: %d\r\n\r\n" % len(body), body, LAST_GET, build=build
    )
    assert [answer for _, _, answer in read_responses(data)] == [b"POST", b"GET"]


def test_an_early_answer_is_read_by_a_client_that_goes_on_sending(build: Build) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"5"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": b"large"})

    for _ in range(5):
        chunks = [b"x" * 65536] * 12
        data = run_app(refuse, POST + b"Content-Length: 99999999\r\n\r\n", *chunks, build=build)
        assert [(status, body) for status, _, body in read_responses(data)] == [(413, b"large")]


def test_a_client_is_told_to_continue_when_the_body_is_wanted(running: Running) -> None:
    with running.connect() as client:
        client.sendall(
            POST + b"Content-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"ok")
        assert read_responses(read_to_end(client))[0][0] == 200


def test_a_client_of_http_1_0_is_not_told_to_continue(build: Build) -> None:
    fields = b"Host: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    data = run_app(echo, b"POST / HTTP/1.0\r\n" + fields + b"ok", build=build)
    assert [status for status, _, _ in read_responses(data)] == [200]


def test_a_connection_ends_when_the_body_was_not_asked_for() -> None:
    async def ignore(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, b"no")

    data = run_app(ignore, POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    [(status, headers, _)] = read_responses(data)
    assert (status, headers["connection"]) == (200, "close")


def test_an_application_learns_that_its_client_has_gone(build: Build) -> None:
    told = threading.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    with serve(wait, build()) as server:
        with server.connect() as client:
            client.sendall(POST + b"Content-Length: 5\r\n\r\nab")
            wait_for(lambda: server.server.server_state.tasks)
        assert told.wait(5)


@pytest.mark.parametrize(
    ("peers", "seen"),
    [("127.0.0.1", "1.2.3.4"), ("127.0.0.0/8", "1.2.3.4"), ("10.0.0.1", "127.0.0.1")],
)
def test_forwarded_addresses_count_when_they_come_from_a_proxy(peers: str, seen: str) -> None:
    with serve(echo, build_protocol(), forwarded_allow_ips=peers) as server:
        data = server.exchange(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6, 1.2.3.4\r\n"
            b"Connection: close\r\n\r\n"
        )
    assert json.loads(read_responses(data)[0][2])["client"] == seen


def test_a_frame_behind_the_handshake_is_not_lost(build: Build) -> None:
    async def upper(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        message = await receive()
        await send({"type": "websocket.send", "text": message["text"].upper()})
        await send({"type": "websocket.close", "code": 1000})

    handshake = (
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    frame = b"\x81\x82\0\0\0\0hi"
    with serve(upper, build()) as server, server.connect() as client:
        client.sendall(handshake + frame)
        received = b""
        while b"HI" not in received:
            data = client.recv(1000)
            assert data, received
            received += data
    assert received.startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize("parts", [1, 2])
def test_nonsense_behind_the_handshake_is_refused(build: Build, parts: int) -> None:
    ended = threading.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        ended.set()

    with serve(wait, build(), ws=HardenedWebSocketProtocol) as server, server.connect() as client:
        handshake = build_handshake()
        if parts == 2:
            client.sendall(handshake)
            wait_for(lambda: server.server.server_state.tasks)
            handshake = b""
        client.sendall(handshake + GET)
        [(status, _, _)] = read_responses(read_to_end(client))
        assert status == 400
        wait_for(lambda: not server.server.server_state.tasks)
    assert ended.is_set() or parts == 1


# Ends


@pytest.mark.parametrize("later", [0, 20, 1000])
def test_an_answer_that_ends_the_connection_comes_whole_to_a_client_that_sends_on(
    build: Build, later: int
) -> None:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(0.3)
        await answer_with(send, b"x" * 400_000, is_last=True)

    with serve(wait, build()) as server, server.connect() as client:
        client.sendall(GET * 2)
        time.sleep(0.05)
        client.sendall(GET * later)
        time.sleep(0.5)
        [(status, _, body)] = read_responses(read_to_end(client))
    assert (status, len(body)) == (200, 400_000)


def test_a_stop_does_not_wait_for_a_client_that_was_answered_early() -> None:
    async def ignore(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, b"no")

    with (
        serve(ignore, build_protocol(), timeout_keep_alive=60) as server,
        server.connect() as client,
    ):
        client.sendall(POST + b"Content-Length: 2\r\n\r\na")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        [protocol] = protocols(server)
        server.server.should_exit = True
        wait_for(lambda: protocol.is_stopping)
        client.sendall(b"b")
        client.settimeout(1.5)
        assert read_to_end(client) == b""


def test_a_stop_serves_what_is_on_its_way_and_closes(build: Build) -> None:
    with serve(echo, build()) as server, server.connect() as client:
        client.sendall(GET)
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        with server.connect() as late:
            wait_for(lambda: len(server.server.server_state.connections) == 2)
            server.server.should_exit = True
            wait_for(lambda: any(c.is_stopping for c in protocols(server)))
            late.sendall(GET)
            [(status, headers, _)] = read_responses(read_to_end(late))
        assert (status, headers["connection"]) == (200, "close")
        assert read_to_end(client) == b""


def test_a_draining_process_asks_clients_to_move_on(build: Build) -> None:
    with serve(echo, build()) as server, server.connect() as client:
        readiness.set_draining()
        client.sendall(GET)
        [(status, headers, _)] = read_responses(read_to_end(client))
    assert (status, headers["connection"]) == (200, "close")


def protocols(server: Running) -> list[Any]:
    return list(server.server.server_state.connections)


def test_a_reset_connection_is_forgotten_at_once(build: Build) -> None:
    with serve(echo, build(), timeout_keep_alive=60) as server:
        client = server.connect()
        client.sendall(GET)
        assert client.recv(1000)
        [protocol] = map(weakref.ref, protocols(server))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        wait_for(lambda: not server.server.server_state.connections)

        def is_gone() -> bool:
            gc.collect()
            return protocol() is None

        wait_for(is_gone)


def test_a_connection_is_freed_without_the_collector() -> None:
    with serve(echo, build_protocol(), timeout_keep_alive=60) as server:
        gc.disable()
        try:
            with server.connect() as client:
                client.sendall(GET)
                assert client.recv(1000)
                [protocol] = map(weakref.ref, protocols(server))
            wait_for(lambda: protocol() is None)
        finally:
            gc.enable()


def test_a_flood_of_bad_requests_is_a_few_lines(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, object]] = []
    access_lines.refusals.reset()
    log = SimpleNamespace(info=lambda event, **fields: lines.append(fields))
    monkeypatch.setattr(access_lines, "_fallback", log)
    for _ in range(300):
        running.exchange(b"BAD\r\n\r\n")
    assert 0 < len(lines) <= 40
    assert lines[0]["reason"] == "This is not a valid HTTP/1.1 request."
