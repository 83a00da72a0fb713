"""`ETagMiddleware`: what a client has already is not sent again (RFC 9110 sections 8.8.3 and 13)."""

from __future__ import annotations

import hashlib
from typing import Final

from framework._defaults import MAX_ETAG_BODY_BYTES
from framework._http.conditional import is_unchanged
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ETagMiddleware"]

# They describe the content, which a 304 has not (RFC 9110 section 15.4.5). All else stays: cookies,
# CORS and security fields are about this very answer, and the validators are what a 304 is for.
_CONTENT_FIELDS: Final = frozenset(
    {
        b"accept-ranges",
        b"content-disposition",
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-type",
        b"transfer-encoding",
    }
)
# What may follow the start of a response that a 304 takes the place of.
_CONTENT_MESSAGES: Final = (
    "http.response.body",
    "http.response.pathsend",
    "http.response.zerocopysend",
    "http.response.trailers",
)

Headers = dict[bytes, bytes]


class ETagMiddleware:
    """Tag responses to GET and HEAD by their content, and answer 304 where the client has it.

    The response is made as always; what is saved is its way to the client. A 200 with a body in one
    piece gets a weak `ETag`, as the bytes may still be compressed further out. One that has validators
    of its own (`ETag`, `Last-Modified`) keeps them and is held against the conditions too, in whatever
    pieces it comes. Streams without validators and `Cache-Control: no-store` pass as they are.

    Args:
        max_body_size: the largest body that is tagged, in bytes.

    Raises:
        ValueError: the size is negative.
    """

    def __init__(self, app: ASGIApp, *, max_body_size: int = MAX_ETAG_BODY_BYTES) -> None:
        if max_body_size < 0:
            raise ValueError(
                f"max_body_size={max_body_size!r} must not be negative; 0 tags nothing"
            )
        self.app = app
        self.max_body_size = max_body_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        sender = _Sender(self.max_body_size, scope, send)
        await self.app(scope, receive, sender)
        await sender.flush()


class _Sender:
    """The `send` of one request. A start is held until the one piece of its body is there."""

    __slots__ = ("held", "is_replaced", "max_body_size", "scope", "send")

    def __init__(self, max_body_size: int, scope: Scope, send: Send) -> None:
        self.max_body_size = max_body_size
        self.scope = scope
        self.send = send
        self.held: Message | None = None
        # Whether a 304 was sent, so that the content is thrown away.
        self.is_replaced = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            await self._start(message)
        elif self.is_replaced and kind in _CONTENT_MESSAGES:
            return
        elif self.held is None:
            await self.send(message)
        elif kind == "http.response.body" and not message.get("more_body", False):
            await self._finish(self.held, message)
        else:
            await self.flush()
            await self.send(message)

    async def flush(self) -> None:
        """Send the start that is held, as it is."""
        if self.held is not None:
            start, self.held = self.held, None
            await self.send(start)

    async def _start(self, message: Message) -> None:
        # An answer that is begun anew, after an error, takes the place of the one that is held.
        self.held = None
        headers = dict(message.get("headers", ()))
        if message["status"] != 200 or message.get("trailers", False):
            await self.send(message)
        elif b"etag" not in headers and self._is_taggable(headers):
            self.held = message
        elif self._is_unchanged(headers):
            await self._send_304(message)
        else:
            await self.send(message)

    def _is_taggable(self, headers: Headers) -> bool:
        length = headers.get(b"content-length", b"")
        # More than 18 digits is over every limit, and too long for int() to be safe.
        is_small = length.isdigit() and len(length) <= 18 and int(length) <= self.max_body_size
        return is_small and b"no-store" not in headers.get(b"cache-control", b"").lower()

    async def _finish(self, start: Message, message: Message) -> None:
        """Tag a response whose body is there in one piece."""
        body = message.get("body", b"")
        headers = dict(start["headers"])
        # The response to HEAD may come without the body that it is about.
        if len(body) == int(headers[b"content-length"]):
            digest = hashlib.blake2b(body, digest_size=8, usedforsecurity=False).hexdigest()
            tag = (b"etag", b'W/"%s"' % digest.encode())
            # A message of its own: the application may send the same one with another body.
            start = self.held = {**start, "headers": [*start["headers"], tag]}
            if self._is_unchanged({**headers, b"etag": tag[1]}):
                self.held = None
                await self._send_304(start)
                return
        await self.flush()
        await self.send(message)

    def _is_unchanged(self, headers: Headers) -> bool:
        etag, modified = headers.get(b"etag"), headers.get(b"last-modified")
        if etag is None and modified is None:
            return False
        return is_unchanged(
            self._find_condition(b"if-none-match"),
            self._find_condition(b"if-modified-since"),
            None if etag is None else etag.decode("latin-1"),
            None if modified is None else modified.decode("latin-1"),
        )

    def _find_condition(self, name: bytes) -> str | None:
        values = [value for field, value in self.scope["headers"] if field == name]
        return b", ".join(values).decode("latin-1") if values else None

    async def _send_304(self, start: Message) -> None:
        self.is_replaced = True
        headers = [field for field in start["headers"] if field[0] not in _CONTENT_FIELDS]
        await self.send({**start, "status": 304, "headers": headers})
        await self.send({"type": "http.response.body", "body": b""})
