"""The middleware around an application of the framework, behind a real server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

SERVICE = """
import asyncio, logging, socket
import uvicorn
from framework.applications import App
from framework.observability.logging import configure_logging, get_logger
from framework.observability.middleware import ObservabilityMiddleware
from framework.responses import PlainTextResponse, StreamingResponse
from framework.routing import Mount, Route

configure_logging(format="json")
log = get_logger("app")

async def hello(request):
    log.info("in the endpoint")
    return PlainTextResponse("hello")

def in_thread(request):
    logging.getLogger("library").info("in a thread")
    return PlainTextResponse("hello")

async def slow(request):
    await asyncio.sleep(5)
    return PlainTextResponse("late")

async def broken(request):
    raise LookupError("broken\\nhandler")

async def half(request):
    async def body():
        yield b"x" * 10
        raise LookupError("half way")
    return StreamingResponse(body())

async def endless(request):
    async def body():
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0.01)
    return StreamingResponse(body())

async def upload(request):
    await request.body()
    return PlainTextResponse("read")

inner = Mount("/users/{user}", routes=[Route("/items/{id}", hello), Route("/thread", in_thread)])
app = App(routes=[
    Route("/", hello),
    Mount("/api", routes=[inner]),
    Route("/slow", slow),
    Route("/broken", broken),
    Route("/half", half),
    Route("/endless", endless),
    Route("/upload", upload, methods=["POST"]),
])
listener = socket.create_server(("127.0.0.1", 0))
config = uvicorn.Config(
    ObservabilityMiddleware(app), log_config=None, access_log=False, reset_contextvars=True
)
log.info("listening", port=listener.getsockname()[1])
uvicorn.Server(config).run(sockets=[listener])
"""

WaitForLine = Callable[[dict[str, Any]], dict[str, Any]]


class Service:
    """A server process and its log stream."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.output = b""
        if self.process.stdout is None:
            raise RuntimeError("the service has no output")
        self._fd = self.process.stdout.fileno()
        os.set_blocking(self._fd, False)
        self.port: int = self.wait_for(event="listening")["port"]
        self.wait_for(logger="uvicorn.error", event="Application startup complete.")

    def lines(self) -> list[dict[str, Any]]:
        """Return all lines so far; one that is not JSON fails the test."""
        try:
            while chunk := os.read(self._fd, 1 << 16):
                self.output += chunk
        except BlockingIOError:
            pass
        complete = self.output.rpartition(b"\n")[0]
        return [json.loads(line) for line in complete.splitlines()]

    def wait_for(self, **fields: object) -> dict[str, Any]:
        """Return the first line with these fields, as soon as it is there."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for line in self.lines():
                if fields.items() <= line.items():
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line with {fields!r} in {self.output.decode()}")

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=5)

    def exchange(self, request: bytes) -> bytes:
        """Send bytes and return all that comes back until the server closes."""
        with self.connect() as connection:
            connection.sendall(request)
            answer = b""
            while chunk := connection.recv(1 << 16):
                answer += chunk
            return answer

    def get(self, target: str, request_id: str) -> bytes:
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\nX-Request-ID: {request_id}\r\n"
        return self.exchange(f"{head}Connection: close\r\n\r\n".encode())

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def lines_of(service: Service, request_id: str) -> list[dict[str, Any]]:
    return [line for line in service.lines() if line.get("request_id") == request_id]


def test_the_route_is_the_template_through_all_mounts(service: Service) -> None:
    answer = service.get("/api/users/ann/items/7?token=secret", "mounted")

    assert b"\r\nx-request-id: mounted\r\n" in answer
    line = service.wait_for(event="request", request_id="mounted")
    assert line["route"] == "/api/users/{user}/items/{id}"
    assert line["path"] == "/api/users/ann/items/7"
    assert (line["status"], line["bytes"], line["client"]) == (200, 5, "127.0.0.1")
    assert b"secret" not in service.output


def test_a_sync_endpoint_logs_the_request_id_in_its_thread(service: Service) -> None:
    service.get("/api/users/ann/thread", "threaded")
    assert service.wait_for(event="in a thread")["request_id"] == "threaded"


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/%1b%5b31m%0a{}"])
def test_a_miss_has_no_label_of_its_own(service: Service, path: str) -> None:
    request_id = f"miss-{len(path)}"
    assert b" 404 " in service.get(path, request_id)
    line = service.wait_for(event="request", request_id=request_id)
    assert line["route"] in {"__unmatched__", "/api"}


def test_an_unhandled_exception_is_logged_once(service: Service) -> None:
    answer = service.get("/broken", "broken")

    assert b"HTTP/1.1 500 " in answer
    assert b"\r\nx-request-id: broken\r\n" in answer
    service.wait_for(event="request", request_id="broken", status=500)
    time.sleep(0.1)
    assert sorted(line["event"] for line in lines_of(service, "broken")) == [
        "request",
        "unhandled exception",
    ]


def test_a_response_that_breaks_off_is_logged_once_and_closed(service: Service) -> None:
    answer = service.get("/half", "half")

    assert not answer.endswith(b"0\r\n\r\n")  # the client can tell that something is missing
    assert service.wait_for(event="request", request_id="half")["status"] == 500
    time.sleep(0.1)
    assert len(lines_of(service, "half")) == 2


def test_a_client_that_does_not_wait_is_a_499(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nX-Request-ID: impatient\r\n\r\n")
        time.sleep(0.1)
    assert service.wait_for(event="request", request_id="impatient")["status"] == 499
    assert len(lines_of(service, "impatient")) == 1


def test_a_client_that_leaves_a_stream_is_a_499(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\nX-Request-ID: stream\r\n\r\n")
        connection.recv(4096)
    line = service.wait_for(event="request", request_id="stream")
    assert line["status"] == 499
    assert line["bytes"] >= 1000


def test_a_client_that_leaves_its_body_half_sent_is_a_499(service: Service) -> None:
    with service.connect() as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: x\r\nX-Request-ID: upload\r\n"
            b"Content-Length: 100\r\n\r\nhalf"
        )
        time.sleep(0.1)
    assert service.wait_for(event="request", request_id="upload")["status"] == 499
    time.sleep(0.1)
    assert len(lines_of(service, "upload")) == 1


def test_pipelined_requests_do_not_share_their_context(service: Service) -> None:
    first = b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-ID: pipe-1\r\n\r\n"
    second = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = service.exchange(first + second)

    ids = [
        line.partition(b": ")[2].decode()
        for line in answer.split(b"\r\n")
        if line.startswith(b"x-request-id")
    ]
    assert ids[0] == "pipe-1"
    assert len(ids[1]) == 32
    for request_id in ids:
        events = [line["event"] for line in lines_of(service, request_id)]
        assert events == ["in the endpoint", "request"]
