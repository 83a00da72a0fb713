"""`CompressMiddleware`: bodies in the coding that the client likes best, zstd, brotli or gzip."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar, Final

from framework._defaults import (
    COMPRESSION_LEVELS,
    MAX_ACCEPT_ENCODING_CHARACTERS,
    MAX_COMPRESSION_THREADS,
    MIN_COMPRESSED_BODY_BYTES,
    MIN_COMPRESSION_THREAD_BYTES,
)
from framework._http.negotiation import Choice, choose_coding
from framework._http.vary import add_vary
from framework.concurrency import ThreadPool
from framework.middleware._codings import CODINGS, MISSING, Coding, Stream
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["DEFAULT_EXCLUDED_CONTENT_TYPES", "CompressMiddleware", "compression_threads"]

# What is compressed already, and event streams (see `CompressMiddleware`).
DEFAULT_EXCLUDED_CONTENT_TYPES: Final = (
    "application/epub+zip",
    "application/grpc",
    "application/gzip",
    "application/java-archive",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.rar",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-rar-compressed",
    "application/x-xz",
    "application/zip",
    "application/zstd",
    "audio/*",
    "font/woff",
    "font/woff2",
    "image/avif",
    "image/gif",
    "image/heic",
    "image/jpeg",
    "image/jxl",
    "image/png",
    "image/webp",
    "text/event-stream",
    "video/*",
)

compression_threads: Final = ThreadPool("compression", MAX_COMPRESSION_THREADS)

_Fields = Iterable[tuple[bytes, bytes]]

_MAX_CONTENT_TYPES: Final = 256

# There is no content, or only a part of it, which nobody could put together with other parts.
_STATUSES_WITHOUT: Final = frozenset({204, 205, 206})

# The body has a coding already, is a part, or has a checksum over its very bytes (RFC 9530).
_FIELDS_AGAINST: Final = frozenset(
    {
        b"content-encoding",
        b"content-range",
        b"content-digest",
        b"repr-digest",
        b"digest",
        b"content-md5",
    }
)

# Messages that may come before the head of the response.
_EARLY_MESSAGES: Final = frozenset(
    {"http.response.early_hint", "http.response.push", "http.response.debug"}
)


class CompressMiddleware:
    """Compress bodies as `Accept-Encoding` asks for (RFC 9110 sections 8.4 and 12.5.3).

    A response that could have been compressed says `Vary: Accept-Encoding`, whatever this client gets.
    Compressed, its strong `ETag` becomes a weak one: the bytes differ from coding to coding. `Range` is
    about the body as it is, so `Accept-Ranges` goes too. Left alone are 204, 205, 206 and 304, what has
    a coding or a digest, `Cache-Control: no-transform`, files that the server sends itself, and a body
    that would not get smaller. HEAD gets the fields of GET without the length.

    Each chunk of a stream is flushed, so nothing waits in the compressor. Event streams are excluded
    all the same: each connection would hold a compressor's memory (256 KiB for gzip, more for the
    others) for as long as it is open, to make tiny events hardly smaller. Where that pays, pass
    `excluded_content_types` without `text/event-stream`.

    Compression tells by the length how alike parts of a body are. Over TLS, a page that holds a secret
    and repeats what the request says gives the secret away piece by piece (BREACH, CVE-2013-3587):
    mask the secret anew in each response, or send such a page with `Cache-Control: no-transform`.

    `codings` names what is offered, `missing_codings` what was asked for but has no package here.

    Args:
        minimum_size: bytes; smaller bodies stay as they are.
        codings: names and levels, the preferred one first: `zstd` (1 to 19), `br` (0 to 11), `gzip`
            (-1 to 9).
        thread_minimum_size: bytes; chunks of at least this size are compressed in a thread, of which
            `compression_threads.limit` run at a time in each event loop.
        excluded_content_types: media types that are not compressed, `audio/*` for all of a kind.

    Raises:
        ValueError: an unknown coding or level, a negative size, something that is no media type.
    """

    may_grow: ClassVar[bool] = False
    """Whether a body is sent compressed also where that makes it larger."""

    def __init__(
        self,
        app: ASGIApp,
        minimum_size: int = MIN_COMPRESSED_BODY_BYTES,
        *,
        codings: Mapping[str, int] = COMPRESSION_LEVELS,
        thread_minimum_size: int = MIN_COMPRESSION_THREAD_BYTES,
        excluded_content_types: Collection[str] = DEFAULT_EXCLUDED_CONTENT_TYPES,
    ) -> None:
        self.app = app
        self.minimum_size = _check_size("minimum_size", minimum_size)
        self.thread_minimum_size = _check_size("thread_minimum_size", thread_minimum_size)
        for name, level in codings.items():
            _check_level(name, level)
        self._by_name = {
            name: CODINGS[name](level) for name, level in codings.items() if name not in MISSING
        }
        self.codings = tuple(self._by_name)
        self.missing_codings = tuple(name for name in codings if name in MISSING)
        excluded = frozenset(map(_check_content_type, excluded_content_types))
        # PERF: an application has few content types. The answer depends on the field alone.
        self.is_excluded = lru_cache(_MAX_CONTENT_TYPES)(partial(_is_excluded, excluded))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        accepted = b""
        for name, value in scope["headers"]:
            if name == b"accept-encoding" and len(accepted) <= MAX_ACCEPT_ENCODING_CHARACTERS:
                accepted = accepted + b"," + value if accepted else value
        choice = self.choose(accepted.decode("latin-1"))
        coding = self._by_name.get(choice.coding or "")
        is_head = scope.get("method") == "HEAD"
        compressing = _CompressingSend(self, choice, coding, is_head, send)
        try:
            await self.app(scope, receive, compressing)
        finally:
            # A stream that was cut off keeps no compressor. What comes later is an error page.
            compressing.stream = None

    def choose(self, accepted: str) -> Choice:
        """Choose the coding for what a client accepts."""
        return choose_coding(accepted, self.codings)

    def may_compress(self, status: int, fields: _Fields) -> bool:
        """Say whether a response may be compressed, as far as its head tells."""
        if status in _STATUSES_WITHOUT:
            return False
        content_type = b""
        for name, value in fields:
            if name == b"content-type":
                content_type = value
            elif name == b"cache-control":
                if b"no-transform" in value.lower():
                    return False
            elif name in _FIELDS_AGAINST:
                return False
        return not self.is_excluded(content_type)


class _CompressingSend:
    """One response: the head is held until the first piece of the body shows what to do.

    `start` is the head that is held, `stream` the compressor of the chunks to come.
    """

    __slots__ = ("choice", "coding", "is_head", "middleware", "send", "start", "stream")

    def __init__(
        self,
        middleware: CompressMiddleware,
        choice: Choice,
        coding: Coding | None,
        is_head: bool,
        send: Send,
    ) -> None:
        self.middleware = middleware
        self.choice = choice
        self.coding = coding
        self.is_head = is_head
        self.send = send
        self.start: Message | None = None
        self.stream: Stream | None = None

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.body":
            start, self.start = self.start, None
            if start is not None and self.coding is not None:
                await self._begin(self.coding, start, message)
            elif self.stream is not None:
                await self._continue(self.stream, message)
            else:
                await self.send(message)
        elif kind == "http.response.start":
            await self._take_start(message)
        else:
            if self.start is not None and kind not in _EARLY_MESSAGES:
                start, self.start = self.start, None
                await self.send(start)
            await self.send(message)

    async def _take_start(self, message: Message) -> None:
        status = message["status"]
        fields = message.get("headers", ())
        if not isinstance(fields, list | tuple):
            # Any iterable will do for a server, but these are read more than once.
            fields = [*fields]
            message = {**message, "headers": fields}
        self.start = self.stream = None
        if not self.middleware.may_compress(status, fields):
            await self.send(message)
        elif status == 304:
            # The client has the body as it was sent to it (RFC 9110 section 15.4.5).
            await self._send_start(message, _describe_variant(fields, self.coding is not None))
        elif self.coding is None or self.is_head:
            length = _find_length(fields)
            if length is None or length >= self.middleware.minimum_size:
                # HEAD has the fields of GET; only the length is not known without compressing.
                is_coded = self.coding is not None
                fields = (
                    self._describe_coded(fields, None) if is_coded else _describe_variant(fields)
                )
            await self._send_start(message, fields)
        else:
            self.start = message

    async def _send_start(self, start: Message, fields: _Fields) -> None:
        await self.send({**start, "headers": fields})

    async def _begin(self, coding: Coding, start: Message, message: Message) -> None:
        """Send the head that was held, and the first piece of the body, which may be all of it."""
        body = message.get("body", b"")
        fields = start.get("headers", ())
        has_more = message.get("more_body", False)
        size = _find_length(fields) if has_more else len(body)
        must_encode = size != 0 and not self.choice.allows_identity
        if size is not None and size < self.middleware.minimum_size and not must_encode:
            await self.send(start)
            await self.send(message)
            return
        if has_more:
            self.stream = coding.start()
            await self._send_start(start, self._describe_coded(fields, None))
            await self._continue(self.stream, message)
            return
        compressed = await self._run(coding.compress, body)
        if len(compressed) < len(body) or must_encode or self.middleware.may_grow:
            length = None if start.get("trailers", False) else len(compressed)
            fields = self._describe_coded(fields, length)
            message = {**message, "body": compressed}
        else:
            fields = _describe_variant(fields)
        await self._send_start(start, fields)
        await self.send(message)

    async def _continue(self, stream: Stream, message: Message) -> None:
        """Send the next chunk."""
        body = message.get("body", b"")
        is_last = not message.get("more_body", False)
        if is_last:
            self.stream = None
        if body or is_last:
            message = {**message, "body": await self._run(stream, body, is_last)}
        await self.send(message)

    async def _run(self, function: Callable[..., bytes], body: Any, *args: bool) -> bytes:
        chunk = body if isinstance(body, bytes) else bytes(body)
        if len(chunk) < self.middleware.thread_minimum_size:
            return function(chunk, *args)
        return await compression_threads.run(function, chunk, *args)

    def _describe_coded(self, fields: _Fields, length: int | None) -> _Fields:
        """Return the fields of a body in a coding; `length` is None when it is not known."""
        described = []
        for field in fields:
            name = field[0]
            if name == b"content-length":
                if length is not None:
                    described.append((name, b"%d" % length))
                    length = None
            elif name == b"etag":
                described.append(_weaken(field))
            elif name != b"accept-ranges":
                described.append(field)
        add_vary(described, b"Accept-Encoding")
        described.append((b"content-encoding", (self.choice.coding or "").encode()))
        if length is not None:
            described.append((b"content-length", b"%d" % length))
        return described


def _describe_variant(fields: _Fields, is_weak: bool = False) -> _Fields:
    described = [_weaken(field) for field in fields] if is_weak else [*fields]
    add_vary(described, b"Accept-Encoding")
    return described


def _weaken(field: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    if field[0] == b"etag" and not field[1].startswith(b"W/"):
        return (b"etag", b"W/" + field[1])
    return field


def _find_length(fields: _Fields) -> int | None:
    for name, value in fields:
        if name == b"content-length":
            return int(value) if value.isdigit() else None
    return None


def _is_excluded(excluded: frozenset[str], content_type: bytes) -> bool:
    media_type = _normalize_content_type(content_type.decode("latin-1"))
    kind = media_type.partition("/")[0] + "/*"
    if media_type.startswith("application/grpc+"):
        media_type = "application/grpc"
    return media_type in excluded or kind in excluded


def _normalize_content_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _check_size(name: str, size: int) -> int:
    if size < 0:
        raise ValueError(f"{name}={size!r} must not be negative: pass bytes, 0 for every body")
    return size


def _check_level(name: str, level: int) -> None:
    coding = CODINGS.get(name)
    if coding is None:
        raise ValueError(f"codings has {name!r}: there are {', '.join(map(repr, CODINGS))}")
    if level not in coding.levels:
        first, last = coding.levels[0], coding.levels[-1]
        raise ValueError(f"codings[{name!r}]={level!r}: pass a level from {first} to {last}")


def _check_content_type(content_type: str) -> str:
    normalized = _normalize_content_type(content_type)
    if "/" not in normalized:
        raise ValueError(f"{content_type!r} is no media type: write it as 'image/png' or 'image/*'")
    return normalized
