"""uvicorn servers on real sockets, in a thread: with our protocol or with the stock one."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from framework.observability.health import readiness
from framework.server.http.choice import ZTTP, choose_protocol
from framework.server.http.limits import HttpLimits
from framework.server.http.protocol import HardenedHttpProtocol
from framework.server.lifecycle import ReadinessServer
from framework.types import ASGIApp, Receive, Scope, Send

PATIENCE_SECONDS = 10.0
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Running:
    """A server that runs; `server` is uvicorn's object, to be used with care from other threads."""

    def __init__(self, port: int, server: ReadinessServer) -> None:
        self.port = port
        self.server = server

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def exchange(self, *parts: bytes) -> bytes:
        """Send on a connection of its own; return what comes until the server closes."""
        with self.connect() as client:
            with contextlib.suppress(OSError):  # refused before all was sent
                for part in parts:
                    client.sendall(part)
            return read_to_end(client)


Build = Callable[..., Callable[..., Any]]
"""What builds a protocol with some limits."""


def build_protocol(**limits: int) -> Callable[..., Any]:
    return functools.partial(HardenedHttpProtocol, limits=HttpLimits(**limits))


def build_zttp(**limits: int) -> Callable[..., Any]:
    """What reads with the other parser. Without it a test is skipped, except in CI."""
    if importlib.util.find_spec("zttp") is None and not os.environ.get("CI"):
        pytest.skip("zttp is not installed")
    return choose_protocol(ZTTP, HttpLimits(**limits))


STOCK: Callable[..., Any] = HttpToolsProtocol


@contextlib.contextmanager
def serve(app: ASGIApp, http: Callable[..., Any] | str, **settings: Any) -> Iterator[Running]:
    """Serve `app` until the end of the block."""
    config = Config(
        app,
        http=http,  # type: ignore[arg-type]
        loop="uvloop",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
        **{
            "lifespan": "off",
            "ws": "websockets-sansio",
            "timeout_keep_alive": 2,
            "reset_contextvars": True,
            **settings,
        },
    )
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = ReadinessServer(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_for(lambda: server.started)
            yield Running(listener.getsockname()[1], server)
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
            readiness.reset()
    assert not thread.is_alive(), "the server does not stop"


def run_app(app: ASGIApp, *parts: bytes, build: Build = build_protocol, **limits: int) -> bytes:
    """Serve one connection of `app`; return what it got."""
    with serve(app, build(**limits)) as server:
        return server.exchange(*parts)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s"
        time.sleep(0.01)


def read_to_end(client: socket.socket) -> bytes:
    """What comes until the server closes; a reset is an end, too."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(65536):
            received += data
    return bytes(received)


def read_responses(data: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """Split responses with a length; whatever is no response fails the test."""
    found = []
    while data:
        head, end, data = data.partition(b"\r\n\r\n")
        assert end, f"half a header: {head!r}"
        line, *fields = head.decode("latin-1").split("\r\n")
        version, status, _ = line.split(" ", 2)
        assert version == "HTTP/1.1", line
        headers = {k.lower(): v for k, _, v in (field.partition(": ") for field in fields)}
        length = int(headers.get("content-length", 0))
        assert len(data) >= length, "half a body"
        found.append((int(status), headers, data[:length]))
        data = data[length:]
    return found


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was understood, after the whole body has come."""
    if scope["type"] != "http":
        await receive()
        await send({"type": "websocket.close", "code": 1000})
        return
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    answer = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "fields": [
            [name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]
        ],
        "client": scope["client"][0],
        "body_bytes": len(body),
    }
    await answer_with(send, json.dumps(answer).encode())


async def answer_with(send: Send, body: bytes, *, status: int = 200, is_last: bool = False) -> None:
    headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    if is_last:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
