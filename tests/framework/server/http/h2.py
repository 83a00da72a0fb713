"""HTTP/2 by hand: frames as bytes, and what came back."""

from __future__ import annotations

import socket
from typing import NamedTuple

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = range(5)
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(6, 10)
END_STREAM, END_HEADERS = 1, 4
# Fields without compression, as RFC 7541 has them: :method, :path "/", :scheme "http", :authority "a".
GET = b"\x82\x84\x86\x01\x01a"
POST = b"\x83\x84\x86\x01\x01a"


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def status(self) -> int:
        """The status of a response, as zttp writes it."""
        assert self.payload.startswith(b"\x08\x03"), self
        return int(self.payload[2:5])

    @property
    def error(self) -> int:
        """The code of a RST_STREAM or of a GOAWAY."""
        return int.from_bytes(self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8])


def build(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    size = len(payload).to_bytes(3, "big")
    return size + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + build(SETTINGS)


def ask(stream: int, fields: bytes = GET, flags: int = END_STREAM | END_HEADERS) -> bytes:
    return build(HEADERS, flags, stream, fields)


def split(data: bytes) -> list[Frame]:
    frames = []
    while data:
        end = 9 + int.from_bytes(data[:3])
        assert len(data) >= end, "half a frame"
        frames.append(Frame(data[3], data[4], int.from_bytes(data[5:9]), data[9:end]))
        data = data[end:]
    return frames


def read_until(client: socket.socket, kind: int) -> list[Frame]:
    """Read until a frame of a kind has come."""
    data = b""
    while True:
        received = client.recv(65536)
        assert received, split(data)
        data += received
        if len(data) >= 9 and _is_whole(data) and any(f.kind == kind for f in split(data)):
            return split(data)


def _is_whole(data: bytes) -> bool:
    while len(data) >= 9:
        data = (
            data[9 + int.from_bytes(data[:3]) :]
            if len(data) >= 9 + int.from_bytes(data[:3])
            else b"?"
        )
    return not data
