"""Soak of three `BaseHTTPMiddleware` with clients that leave: a request leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator

import pytest

from framework.applications import App
from framework.types import Message
from tests.framework.asgi import build_scope
from tests.framework.middleware.soak_service import build_app, count

REQUESTS = 50_000
AT_ONCE = 50
SERVED = 300
# Of each twenty clients: what they ask for, and when they leave.
PLANS = (
    *((("/quick", "after"),) * 13),
    ("/quick", "before"),
    ("/quick", "head"),
    ("/slow", "before"),
    ("/slow", "after"),
    ("/stream", "head"),
    ("/stream", "body"),
    ("/stream", "after"),
)
# Close by a reset, at once.
RESET = struct.pack("ii", 1, 0)


class Client:
    """One that leaves: before the answer, at its head, at a part of its body, or after it."""

    __slots__ = ("gone", "leaves")

    def __init__(self, leaves: str) -> None:
        self.leaves = leaves
        self.gone = asyncio.Event()
        if leaves == "before":
            self.gone.set()

    async def receive(self) -> Message:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        is_head = message["type"] == "http.response.start"
        if self.leaves == ("head" if is_head else "body"):
            self.gone.set()
        if self.gone.is_set():
            raise OSError("the client has gone")
        if not is_head and not message.get("more_body", False):
            self.gone.set()


async def serve_many(app: App, number: int) -> None:
    for place in range(number):
        await serve_one(app, *PLANS[place % len(PLANS)])


async def serve_one(app: App, path: str, leaves: str) -> None:
    client = Client(leaves)
    with contextlib.suppress(OSError):
        await app(build_scope(path), client.receive, client.send)


# Seconds of a CPU that others may need as well.
@pytest.mark.timeout(300)
def test_fifty_thousand_requests_leave_nothing_behind() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, last = asyncio.run(soak(build_app()))
    assert last["objects"] - first["objects"] < 200
    assert last["blocks"] - first["blocks"] < 1000


def test_a_request_leaves_nothing_to_the_collector() -> None:
    """Reference cycles would be freed late, and cost a pause each time."""

    async def serve() -> int:
        app = build_app()
        await serve_one(app, "/quick", "after")
        gc.collect()
        gc.disable()
        try:
            for _ in range(100):
                await serve_one(app, "/quick", "after")
            return gc.collect()
        finally:
            gc.enable()

    assert asyncio.run(serve()) < 100


async def soak(app: App) -> tuple[dict[str, int], dict[str, int]]:
    """Serve all requests; return what is alive after a fifth of them, and in the end."""
    share = REQUESTS // 10 // AT_ONCE
    counts = []
    for _ in range(10):
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(serve_many(app, share))
        assert len(asyncio.all_tasks()) == 1
        counts.append(count())
    return counts[1], counts[-1]


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", "-m", "tests.framework.middleware.soak_service"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.timeout(60)
def test_sockets_that_are_reset_leave_nothing_behind(server: subprocess.Popen[str]) -> None:
    assert server.stdout is not None
    port = int(server.stdout.readline())
    visit_many(port)
    first = measure(port)
    for _ in range(3):
        visit_many(port)
    last = measure(port)
    server.terminate()
    _, errors = server.communicate(timeout=10)
    assert errors == ""
    assert last["tasks"] == first["tasks"]
    assert last["objects"] - first["objects"] < 200
    assert last["blocks"] - first["blocks"] < 1000


def visit_many(port: int) -> None:
    for place in range(SERVED // 4):
        path, leaves = PLANS[place % len(PLANS)]
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            if leaves != "before":
                client.recv(10)
            if leaves == "after":
                while client.recv(65536):
                    pass
            else:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def measure(port: int) -> dict[str, int]:
    """Ask the server what is alive, when the requests before have come to their end."""
    time.sleep(0.2)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/measure") as answer:
        counts: dict[str, int] = json.load(answer)
    return counts
