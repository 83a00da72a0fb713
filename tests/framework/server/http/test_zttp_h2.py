"""HTTP/2 under the deadlines of HTTP/1.1, and what it has beyond: streams and their windows."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from types import SimpleNamespace

import pytest

from framework.observability._access import access_lines
from framework.observability.health import readiness
from framework.types import Receive, Scope, Send
from tests.framework.server.http.h2 import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    POST,
    PREFACE,
    RST_STREAM,
    WINDOW_UPDATE,
    Frame,
    ask,
    build,
    read_until,
    split,
)
from tests.framework.server.http.serving import (
    Running,
    answer_with,
    build_zttp,
    echo,
    read_to_end,
    serve,
    wait_for,
)

HALF_HEADER = build(HEADERS, END_STREAM, 1, b"\x82")
CREDIT = (1 << 24).to_bytes(4)


def pick(frames: list[Frame], kind: int) -> list[Frame]:
    return [frame for frame in frames if frame.kind == kind]


def content(frames: list[Frame], stream: int) -> bytes:
    return b"".join(frame.payload for frame in pick(frames, DATA) if frame.stream == stream)


def test_a_request_without_content_is_complete() -> None:
    with serve(echo, build_zttp()) as server, server.connect() as client:
        client.sendall(PREFACE + ask(1))
        frames = read_until(client, DATA)
    assert [frame.status for frame in pick(frames, HEADERS)] == [200]
    assert json.loads(content(frames, 1))["path"] == "/"


@pytest.mark.parametrize(
    "begin",
    [b"", PREFACE[:10], PREFACE, PREFACE + HALF_HEADER, PREFACE + ask(1)[:-1], PREFACE + b"\0\0"],
    ids=["nothing", "half-preface", "preface", "half-fields", "half-frame", "half-head"],
)
def test_a_connection_without_a_request_is_closed(begin: bytes) -> None:
    http = build_zttp(first_byte_seconds=1, header_seconds=1)
    with serve(echo, http, timeout_keep_alive=9) as server, server.connect() as client:
        client.sendall(begin)
        frames = split(read_to_end(client))
    assert len(pick(frames, GOAWAY)) == (len(begin) >= len(PREFACE))


def test_signs_of_life_do_not_keep_an_idle_connection() -> None:
    with serve(echo, build_zttp(), timeout_keep_alive=1) as server, server.connect() as client:
        client.sendall(PREFACE + ask(1))
        read_until(client, DATA)
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 6:
                client.sendall(build(PING, payload=bytes(8)))
                time.sleep(0.1)
        assert time.monotonic() - begun < 6


def test_a_header_in_many_pieces_has_one_deadline() -> None:
    http = build_zttp(header_seconds=1)
    with serve(echo, http, timeout_keep_alive=9) as server, server.connect() as client:
        client.sendall(PREFACE + HALF_HEADER)
        begun = time.monotonic()
        with contextlib.suppress(OSError):
            while time.monotonic() - begun < 9:
                client.sendall(build(CONTINUATION, 0, 1))
                time.sleep(0.7)
        # zttp itself takes 16 of them.
        assert time.monotonic() - begun < 9


def test_a_body_that_comes_too_slowly_is_answered_with_408_and_the_application_told() -> None:
    told: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        message = {"more_body": True, "type": ""}
        while message.get("more_body"):
            message = dict(await receive())
        told.append(str(message["type"]))
        await answer_with(send, b"")

    with serve(app, build_zttp(body_grace_seconds=1)) as server, server.connect() as client:
        client.sendall(PREFACE + ask(1, POST, END_HEADERS) + build(DATA, 0, 1, b"abc"))
        frames = read_until(client, RST_STREAM)
        assert [frame.status for frame in pick(frames, HEADERS)] == [408]
        wait_for(lambda: told == ["http.disconnect"])
        client.sendall(ask(3))
        assert [frame.stream for frame in pick(read_until(client, HEADERS), HEADERS)] == [3]


def test_a_frame_of_content_may_take_its_time() -> None:
    body = b"x" * 4000
    frame = build(DATA, END_STREAM, 1, body)
    with serve(echo, build_zttp(body_grace_seconds=1)) as server, server.connect() as client:
        client.sendall(PREFACE + ask(1, POST, END_HEADERS))
        for at in range(0, len(frame), 500):
            client.sendall(frame[at : at + 500])
            time.sleep(0.4)
        frames = read_until(client, DATA)
    assert json.loads(content(frames, 1))["body_bytes"] == len(body)


def test_an_application_waits_for_the_window_and_a_client_that_opens_none_is_cut_off() -> None:
    sent: list[int] = []

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent.append(65536)

    with serve(flood, build_zttp(stalled_seconds=2)) as server, server.connect() as client:
        client.sendall(PREFACE + ask(1))
        wait_for(lambda: sent)
        time.sleep(0.3)
        assert len(sent) < 5
        assert pick(read_until(client, RST_STREAM), RST_STREAM)[0].error == 8
        wait_for(lambda: not server.server.server_state.tasks)


def test_a_window_that_opens_lets_the_application_go_on() -> None:
    async def give(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(40):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with serve(give, build_zttp(stalled_seconds=2)) as server, server.connect() as client:
        client.sendall(PREFACE + ask(1))
        time.sleep(0.3)
        client.sendall(b"".join(build(WINDOW_UPDATE, 0, stream, CREDIT) for stream in (0, 1)))
        client.settimeout(5)
        size = 0
        while size < 40 * 65536:
            size += len(client.recv(65536))


def test_a_client_that_does_not_read_is_cut_off() -> None:
    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(250):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})

    with serve(flood, build_zttp(stalled_seconds=1)) as server, server.connect() as client:
        windows = b"".join(build(WINDOW_UPDATE, 0, stream, CREDIT) for stream in (0, 1))
        client.sendall(PREFACE + ask(1) + windows)
        wait_for(lambda: server.server.server_state.tasks)
        wait_for(lambda: not server.server.server_state.connections)
        wait_for(lambda: not server.server.server_state.tasks)


def test_the_application_learns_that_its_client_has_gone() -> None:
    told = threading.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        told.set()

    with serve(wait, build_zttp()) as server:
        with server.connect() as client:
            client.sendall(PREFACE + ask(1))
            wait_for(lambda: server.server.server_state.tasks)
        assert told.wait(5)


def test_more_streams_than_allowed_at_once_are_refused() -> None:
    with serve(echo, build_zttp()) as server, server.connect() as client:
        client.sendall(PREFACE + b"".join(ask(n, POST, END_HEADERS) for n in range(1, 260, 2)))
        frames = pick(read_until(client, RST_STREAM), RST_STREAM)
        assert (frames[0].stream, frames[0].error) == (257, 7)
        assert len(server.server.server_state.tasks) == 128


# Ends


def stop(server: Running) -> None:
    server.server.should_exit = True


def test_a_stop_serves_what_is_on_its_way_and_closes() -> None:
    with serve(echo, build_zttp()) as server, server.connect() as client:
        client.sendall(PREFACE)
        wait_for(lambda: any(hasattr(c, "scanner") for c in server.server.server_state.connections))
        stop(server)
        notice = read_until(client, GOAWAY)
        client.sendall(ask(1))
        frames = split(read_to_end(client))
    assert pick(notice, GOAWAY)[0].payload[:4] == b"\x7f\xff\xff\xff"
    assert [frame.status for frame in pick(frames, HEADERS)] == [200]
    assert pick(frames, GOAWAY)[-1].payload[:4] == b"\0\0\0\1"


def test_a_draining_process_asks_clients_to_move_on() -> None:
    with serve(echo, build_zttp()) as server, server.connect() as client:
        client.sendall(PREFACE)
        readiness.set_draining()
        assert pick(read_until(client, GOAWAY), GOAWAY)[0].error == 0


def test_a_stop_waits_for_a_response_that_the_client_has_not_taken() -> None:
    size = 200_000

    async def give(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, b"x" * size)

    with serve(give, build_zttp()) as server, server.connect() as client:
        client.sendall(PREFACE + ask(1))
        received = b""
        while len(received) < 65535:
            received += client.recv(65536)
        stop(server)
        time.sleep(0.5)
        client.sendall(b"".join(build(WINDOW_UPDATE, 0, stream, CREDIT) for stream in (0, 1)))
        received += read_to_end(client)
    assert len(content(split(received), 1)) == size


def test_many_requests_on_one_connection_are_followed_by_a_notice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("framework.server.http.zttp_h2.MAX_REQUESTS", 5)
    with serve(echo, build_zttp()) as server, server.connect() as client:
        client.sendall(PREFACE + b"".join(ask(number) for number in range(1, 12, 2)))
        frames = split(read_to_end(client))
    assert [frame.status for frame in pick(frames, HEADERS)] == [200] * 6
    assert [frame.error for frame in pick(frames, GOAWAY)] == [0, 0]


def test_a_flood_of_bad_connections_is_a_few_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[dict[str, object]] = []
    access_lines.refusals.reset()
    log = SimpleNamespace(info=lambda event, **fields: lines.append(fields))
    monkeypatch.setattr(access_lines, "_fallback", log)
    with serve(echo, build_zttp()) as server:
        for _ in range(100):
            server.exchange(PREFACE + build(DATA, 0, 0, b"x"))
            server.exchange(
                b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: x\r\n\r\n"
            )
    assert 0 < len(lines) <= 40
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
