"""How responses are written: framed by the server, never split, and ended in order."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from framework.types import Receive, Scope, Send
from tests.framework.server.http.serving import (
    GET,
    LAST_GET,
    answer_with,
    build_protocol,
    read_responses,
    read_to_end,
    run_app,
    serve,
)


def test_a_stream_is_open_before_its_first_part() -> None:
    seen = threading.Event()

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        assert await asyncio.to_thread(seen.wait, 5)
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await send({"type": "http.response.body", "body": b"two"})

    with serve(stream, build_protocol()) as server, server.connect() as client:
        client.sendall(LAST_GET)
        head = client.recv(1000)
        seen.set()
        body = read_to_end(client)
    assert b"transfer-encoding: chunked" in head
    assert body == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
def test_a_response_without_content_has_none(method: bytes, status: int) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, b"content", status=status)

    data = run_app(answer, method + b" / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert data.endswith(b"\r\n\r\n")
    assert (b"content-length: 7" in data) == (status != 204)


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x", b"a\r\nset-cookie: b")],
        [(b"x\r\ny", b"a")],
        [(b"", b"a")],
        [(b"content-length", b"+3")],
        [(b"content-length", b"3"), (b"content-length", b"4")],
    ],
)
def test_a_response_cannot_be_split(headers: list[tuple[bytes, bytes]]) -> None:
    async def inject(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    [(status, fields, _)] = read_responses(run_app(inject, GET))
    assert status == 500
    assert "set-cookie" not in fields


@pytest.mark.parametrize("coding", [b"chunked", b"gzip, chunked", b"identity"])
def test_the_server_frames_a_response_whatever_the_application_says(coding: bytes) -> None:
    async def say_both(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"99"), (b"transfer-encoding", coding)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hello"})

    head, _, body = run_app(say_both, LAST_GET).partition(b"\r\n\r\n")
    assert b"content-length" not in head
    assert head.count(b"transfer-encoding: chunked") == 1
    assert body == b"5\r\nhello\r\n0\r\n\r\n"


def test_a_client_of_http_1_0_gets_no_chunks() -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for part in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    head, _, body = run_app(stream, b"GET / HTTP/1.0\r\n\r\n").partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"onetwo"


@pytest.mark.parametrize("status", [100, 103, 199, 600, 999])
def test_what_is_no_final_status_is_an_error(status: int) -> None:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await answer_with(send, b"", status=status)

    assert [status for status, _, _ in read_responses(run_app(answer, GET))] == [500]


@pytest.mark.parametrize("length", [b"3", b"9"])
def test_a_wrong_length_is_an_error_and_no_mixed_up_response(length: bytes) -> None:
    async def lie(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"12345"})

    data = run_app(lie, GET, GET)
    assert data.startswith(b"HTTP/1.1 500 ") == (length == b"3")
    assert data.count(b"HTTP/1.1") == 1


def test_an_exception_is_a_500_and_the_connection_ends(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("ours")

    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        [(status, headers, _)] = read_responses(run_app(fail, GET))
    assert (status, headers["connection"]) == (500, "close")
    assert "Exception in ASGI application" in caplog.text
