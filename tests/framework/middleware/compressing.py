"""Applications and decoders for the tests of compression."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import brotli

from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call

zstd: Any
if sys.version_info >= (3, 14):
    from compression import zstd
else:
    import zstandard as zstd

TEXT = b"A text that says the same again and again. " * 60

Field = tuple[bytes, bytes]


def answer_with(
    body: bytes = TEXT, *fields: Field, status: int = 200, content_type: bytes = b"text/plain"
) -> ASGIApp:
    """Return an application that answers with a whole body and its length."""
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            *fields,
        ],
    }
    return send_all(start, {"type": "http.response.body", "body": body})


def send_all(*messages: Message) -> ASGIApp:
    """Return an application that sends these very messages."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def send_chunks(chunks: Iterable[bytes], *fields: Field, **start: Any) -> ASGIApp:
    """Return an application that sends a stream; an empty message ends it."""
    return send_all(
        {"type": "http.response.start", "status": 200, "headers": list(fields), **start},
        *({"type": "http.response.body", "body": chunk, "more_body": True} for chunk in chunks),
        {"type": "http.response.body"},
    )


async def ask(app: ASGIApp, *accepted: str, method: str = "GET") -> Channel:
    """Send a request with `Accept-Encoding` fields."""
    fields = [("accept-encoding", field) for field in accepted]
    return await call(app, build_scope("/", method, *fields))


def read(channel: Channel, name: bytes) -> list[bytes]:
    """Return the values of all fields with a name."""
    return [value for key, value in channel.messages[0]["headers"] if key == name]


def _start_zstd() -> Callable[[bytes], bytes]:
    stream = zstd.ZstdDecompressor()
    decode: Callable[[bytes], bytes] = (
        stream.decompress if sys.version_info >= (3, 14) else stream.decompressobj().decompress
    )
    return decode


def _decode_zstd(data: bytes) -> bytes:
    return _start_zstd()(data)


def _start_brotli() -> Callable[[bytes], bytes]:
    stream = brotli.Decompressor()

    def decode(chunk: bytes) -> bytes:
        pieces = [stream.process(chunk)]
        # It hands out one block at a time.
        while pieces[-1]:
            pieces.append(stream.process(b""))
        return b"".join(pieces)

    return decode


DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.decompress,
    "br": brotli.decompress,
    "zstd": _decode_zstd,
}


def decode(channel: Channel) -> bytes:
    """Return the body as a client reads it."""
    codings = read(channel, b"content-encoding")
    return DECODERS[codings[0].decode()](channel.body) if codings else channel.body


def decode_pieces(coding: str, chunks: Iterable[bytes]) -> list[bytes]:
    """Return what a client can read after each chunk."""
    stream: Any = {
        "gzip": lambda: zlib.decompressobj(31).decompress,
        "br": _start_brotli,
        "zstd": _start_zstd,
    }[coding]()
    return [stream(chunk) if chunk else b"" for chunk in chunks]
