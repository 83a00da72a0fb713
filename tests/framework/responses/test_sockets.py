"""Clients that go away, behind a real server: nothing stays open and nothing goes on."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SERVICE = """
import asyncio, os, socket, sys
import uvicorn
from framework.applications import App
from framework.responses import EventSourceResponse, FileResponse, JSONResponse, StreamingResponse
from framework.routing import Route

path = sys.argv[1]
counts = {"open": 0, "closed": 0}
draining = asyncio.Event()

async def wait_for_ever():
    counts["open"] += 1
    try:
        yield "first"
        await asyncio.Event().wait()
    finally:
        counts["closed"] += 1

async def stream(request):
    await request.body()
    return StreamingResponse(wait_for_ever())

async def events(request):
    return EventSourceResponse(wait_for_ever(), draining=draining.is_set)

async def file(request):
    return FileResponse(path)

async def shrinking(request):
    class Shrinking(FileResponse):
        async def _send_pieces(self, *args):
            os.truncate(path, 1000)
            await super()._send_pieces(*args)
    return Shrinking(path)

async def drain(request):
    draining.set()
    return JSONResponse({})

async def state(request):
    tasks = [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "run_asgi"]
    return JSONResponse({"fds": len(os.listdir("/proc/self/fd")), "tasks": len(tasks), **counts})

app = App(routes=[
    Route("/stream", stream, methods=["GET", "POST"]), Route("/events", events), Route("/file", file),
    Route("/shrinking", shrinking), Route("/drain", drain), Route("/state", state),
])
listener = socket.socket()
listener.bind(("127.0.0.1", 0))
listener.listen(512)
print(listener.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="critical")).run(sockets=[listener])
"""

FILE_BYTES = 20 * 1024 * 1024
CLIENTS = 200


class Service:
    """A server in a process of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def send(self, head: str) -> socket.socket:
        """Open a connection and send a request on it."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        client.sendall(head.replace("\n", "\r\n").encode())
        return client

    def get(self, path: str, *fields: str) -> bytes:
        """Return the whole answer to a request."""
        head = "\n".join([f"GET {path} HTTP/1.1", "Host: a", "Connection: close", *fields, "", ""])
        with self.send(head) as client:
            answer = bytearray()
            while chunk := client.recv(65_536):
                answer += chunk
            return bytes(answer)

    def read_state(self) -> Any:
        """Return what is open and running in the server."""
        return json.loads(self.get("/state").split(b"\r\n\r\n", 1)[1])

    def wait_for(self, timeout: float = 5, **expected: int) -> Any:
        """Return the state as soon as it holds what is expected; its last form when it never does."""
        until = time.monotonic() + timeout
        while True:
            state = self.read_state()
            if expected.items() <= state.items() or time.monotonic() > until:
                return state


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("files") / "large.bin"
    with path.open("wb") as file:
        file.truncate(FILE_BYTES)
    return path


@pytest.fixture
def service(path: Path) -> Iterator[Service]:
    os.truncate(path, FILE_BYTES)
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield Service(int(process.stdout.readline()))
        finally:
            process.kill()


HEADS = [
    "GET /stream HTTP/1.1\nHost: a\n\n",
    "POST /stream HTTP/1.1\nHost: a\nContent-Length: 2\n\nab",
    "GET /events HTTP/1.1\nHost: a\n\n",
]


@pytest.mark.parametrize("head", HEADS)
def test_an_iterator_that_waits_for_ever_ends_with_its_client(service: Service, head: str) -> None:
    before = service.read_state()
    clients = [service.send(head) for _ in range(20)]
    for client in clients:
        assert b"first" in read_until(client, b"first")
    assert service.read_state()["tasks"] == 21
    start = time.monotonic()
    for client in clients:
        client.close()
    after = service.wait_for(closed=20, tasks=1)
    assert time.monotonic() - start < 0.5
    assert after == {**before, "open": 20, "closed": 20}


def test_transfers_that_are_cut_off_leave_no_file_open(service: Service) -> None:
    before = service.read_state()
    for number in range(CLIENTS):
        client = service.send("GET /file HTTP/1.1\nHost: a\n\n")
        if number % 2:
            client.recv(100)
        client.close()
    assert service.wait_for(**before) == before


def test_a_client_that_stops_reading_and_leaves_ends_the_transfer(service: Service) -> None:
    before = service.read_state()
    clients = [service.send("GET /file HTTP/1.1\nHost: a\n\n") for _ in range(10)]
    for client in clients:
        client.recv(1)
    assert service.read_state()["tasks"] == 11
    for client in clients:
        client.close()
    assert service.wait_for(**before) == before


def test_a_file_that_shrinks_is_never_taken_for_whole(service: Service) -> None:
    head, _, body = service.get("/shrinking").partition(b"\r\n\r\n")
    assert b"content-length: %d" % FILE_BYTES in head.lower()
    assert len(body) < FILE_BYTES
    assert service.wait_for(tasks=1)["tasks"] == 1


def test_ranges_over_a_socket(service: Service) -> None:
    answer = service.get("/file", "Range: bytes=0-9,20-29")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 206")
    assert b"content-length: %d" % len(body) in head.lower()


def test_event_streams_end_when_the_server_drains(service: Service) -> None:
    client = service.send("GET /events HTTP/1.1\nHost: a\n\n")
    read_until(client, b"data: first\n\n")
    service.get("/drain")
    assert read_until(client, b"0\r\n\r\n").endswith(b"0\r\n\r\n")
    client.close()
    assert service.wait_for(closed=1)["closed"] == 1


def read_until(client: socket.socket, end: bytes) -> bytes:
    """Read until something has arrived, or the connection ends."""
    received = b""
    while end not in received and (chunk := client.recv(4096)):
        received += chunk
    return received
