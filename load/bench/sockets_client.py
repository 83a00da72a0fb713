"""Many WebSocket clients in one process, as small as they can be."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any, Final

HANDSHAKE: Final = (
    "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
    + base64.b64encode(bytes(16)).decode()
    + "\r\n\r\n"
)
# What is on its way when the clients stop has come by then.
LAST_ECHO_SECONDS: Final = 0.01
_HEAD_END: Final = b"\r\n\r\n"


def build_text(data: bytes) -> bytes:
    """Return a text frame, masked with zeros."""
    size = len(data)
    head = bytes([0x81, 0x80 | size]) if size < 126 else struct.pack("!BBH", 0x81, 0xFE, size)
    return head + bytes(4) + data


class Client(asyncio.Protocol):
    """A connection; `is_echoing` sends the next frame for each that comes."""

    def __init__(self, path: str, frame: bytes = b"") -> None:
        self.path = path
        self.frame = frame
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_echoing = False
        self.count = 0
        self.transport: Any = None
        self.buffer = b""
        self.on_message: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the handshake."""
        self.transport = transport
        self.transport.write(HANDSHAKE.format(path=self.path).encode())

    def data_received(self, data: bytes) -> None:
        """Take the answer to the handshake, then whole frames."""
        if not self.opened.done():
            self.buffer += data
            if _HEAD_END in self.buffer:
                head, _, self.buffer = self.buffer.partition(_HEAD_END)
                if not head.startswith(b"HTTP/1.1 101"):
                    self.opened.set_exception(RuntimeError(f"no WebSocket: {head!r}"))
                else:
                    self.opened.set_result(None)
            return
        self.buffer += data
        while len(self.buffer) >= 2:
            size, offset = self.buffer[1] & 0x7F, 2
            if size == 126:
                size, offset = int.from_bytes(self.buffer[2:4], "big"), 4
            if len(self.buffer) < offset + size:
                return
            message = self.buffer[offset : offset + size]
            self.buffer = self.buffer[offset + size :]
            self.count += 1
            if self.on_message is not None:
                self.on_message(message)
            if self.is_echoing:
                self.transport.write(self.frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail an opening that is not complete."""
        if not self.opened.done():
            self.opened.set_exception(exc or RuntimeError("closed before it was open"))


async def open_clients(
    port: int, number: int, path: str = "/", frame: bytes = b"", *, at_once: int = 100
) -> list[Client]:
    """Open connections, from as many loopback addresses as their ports need."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    while len(clients) < number:
        address = f"127.0.0.{1 + len(clients) // 20_000}"
        batch = [
            loop.create_connection(
                lambda: Client(path, frame), "127.0.0.1", port, local_addr=(address, 0)
            )
            for _ in range(min(at_once, number - len(clients)))
        ]
        opened = [client for _, client in await asyncio.gather(*batch)]
        await asyncio.gather(*(client.opened for client in opened))
        clients += opened
    return clients


async def open_echoing(port: int, number: int) -> list[Client]:
    """Open the clients of `count_echoes`."""
    return await open_clients(port, number, frame=build_text(b"x" * 32))


def abort(clients: Iterable[Client]) -> None:
    """Let connections go."""
    for client in clients:
        with contextlib.suppress(OSError):
            client.transport.abort()


async def count_echoes(clients: list[Client], seconds: float) -> tuple[int, float]:
    """Return the round trips of clients, each with one text on its way, and the time they took.

    At the end nothing is on its way any more.
    """
    before = sum(client.count for client in clients)
    begin = time.perf_counter()
    for client in clients:
        client.is_echoing = True
        client.transport.write(client.frame)
    await asyncio.sleep(seconds)
    taken = time.perf_counter() - begin
    for client in clients:
        client.is_echoing = False
    await asyncio.sleep(LAST_ECHO_SECONDS)
    return sum(client.count for client in clients) - before, taken


async def measure_late(port: int, readers: int, messages: int, rate: int) -> list[float]:
    """Return how late (ms) a broadcast reaches readers beside one that reads nothing, sorted."""
    late: list[float] = []

    def note(message: bytes) -> None:
        late.append((time.perf_counter() - float(message[:24])) * 1000)

    stalled, *others = await open_clients(port, readers + 1, "/broadcast")
    connection = stalled.transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.transport.pause_reading()
    for client in others:
        client.on_message = note
    (speaker,) = await open_clients(port, 1, "/broadcast")
    for _ in range(messages):
        await asyncio.sleep(1 / rate)
        text = f"{time.perf_counter():024.9f}".encode()
        speaker.transport.write(build_text(text.ljust(4_000)))
    await asyncio.sleep(1)
    abort((stalled, speaker, *others))
    return sorted(late)
