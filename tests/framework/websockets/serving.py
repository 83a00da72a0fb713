"""Applications behind real servers, and clients that speak WebSocket on a plain socket."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from uvicorn.protocols.websockets.wsproto_impl import WSProtocol

from framework.applications import App
from framework.routing import WebSocketRoute
from framework.server.websockets import HardenedWebSocketProtocol
from framework.types import ASGIApp
from framework.websockets import WebSocket
from tests.framework.server.http.serving import Running, build_protocol, serve

# Both that uvicorn maintains, and ours over the first of them.
IMPLEMENTATIONS: dict[str, Any] = {
    "websockets-sansio": "websockets-sansio",
    "wsproto": WSProtocol,
    "hardened": HardenedWebSocketProtocol,
}
Endpoint = Callable[[WebSocket[Any]], Awaitable[None]]
KEY = base64.b64encode(bytes(16)).decode()
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Served:
    """A server that runs, and its clients, which are closed with it."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.server = running.server
        self.port = running.port
        self.peers: list[Peer] = []

    def connect(self, *fields: str, buffer: int | None = None) -> Peer:
        """Open a WebSocket."""
        peer = Peer(self.port, buffer)
        self.peers.append(peer)
        peer.open(build_handshake(*fields))
        return peer


@contextlib.contextmanager
def serve_endpoint(endpoint: Endpoint, implementation: str, **settings: Any) -> Iterator[Served]:
    """Serve one endpoint at `/`."""
    app = App(routes=[WebSocketRoute("/", endpoint)])
    with serve_app(app, implementation, **settings) as served:
        yield served


@contextlib.contextmanager
def serve_app(app: ASGIApp, implementation: str, **settings: Any) -> Iterator[Served]:
    """Serve an application."""
    ws = IMPLEMENTATIONS[implementation]
    with serve(app, build_protocol(), ws=ws, **settings) as running:
        served = Served(running)
        try:
            yield served
        finally:
            for peer in served.peers:
                peer.close()


def build_handshake(*fields: str, path: str = "/", version: str = "13") -> bytes:
    """Return the request that opens a WebSocket."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: a",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Version: {version}",
        f"Sec-WebSocket-Key: {KEY}",
        *fields,
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1")


def build_frame(opcode: int, data: bytes = b"", *, fin: bool = True, first: int = 0) -> bytes:
    """Return a masked frame; `first` is added to its first byte."""
    head = bytes([(0x80 if fin else 0) | opcode | first])
    size = len(data)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 65536:
        head += struct.pack("!BH", 0xFE, size)
    else:
        head += struct.pack("!BQ", 0xFF, size)
    return head + bytes(4) + data  # a mask of zeros changes nothing


class Peer:
    """A client on a plain socket."""

    def __init__(self, port: int, buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket.settimeout(8)
        self.socket.connect(("127.0.0.1", port))
        self.data = self.head = b""

    def open(self, handshake: bytes) -> None:
        """Send a handshake and read the head of its answer."""
        self.socket.sendall(handshake)
        self.head = self.read_head()

    @property
    def status(self) -> int:
        """The status of the answer to the handshake."""
        return int(self.head.split(b" ", 2)[1])

    def send(self, opcode: int, data: bytes = b"", **options: Any) -> None:
        self.socket.sendall(build_frame(opcode, data, **options))

    def send_close(self, code: int) -> None:
        self.send(CLOSE, struct.pack("!H", code))

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self.data:
            chunk = self.socket.recv(65536)
            assert chunk, f"closed after {self.data!r}"
            self.data += chunk
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        return head

    def read_frame(self) -> tuple[int, bytes] | None:
        """Return opcode and data of the next frame, None at the end of the connection."""
        if not self._has(2):
            return None
        size, offset = self.data[1] & 0x7F, 2
        if size == 126:
            assert self._has(4)
            size, offset = struct.unpack("!H", self.data[2:4])[0], 4
        elif size == 127:
            assert self._has(10)
            size, offset = struct.unpack("!Q", self.data[2:10])[0], 10
        assert self._has(offset + size), "half a frame"
        opcode, data = self.data[0] & 0x0F, self.data[offset : offset + size]
        self.data = self.data[offset + size :]
        return opcode, data

    def read_text(self) -> str:
        frame = self.read_frame()
        assert frame is not None
        assert frame[0] == TEXT, frame
        return frame[1].decode()

    def read_closes(self) -> list[int]:
        """Read to the end; return the codes of the close frames."""
        codes = []
        while (frame := self.read_frame()) is not None:
            if frame[0] == CLOSE:
                codes.append(struct.unpack("!H", frame[1][:2])[0] if frame[1] else 1005)
                with contextlib.suppress(OSError):
                    self.send(CLOSE, frame[1][:2])
        return codes

    def close(self) -> None:
        self.socket.close()

    def _has(self, size: int) -> bool:
        while len(self.data) < size:
            try:
                chunk = self.socket.recv(65536)
            except ConnectionResetError:
                return False
            if not chunk:
                return False
            self.data += chunk
        return True


def wait_until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Return when the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)
