"""Requests from bytes: httptools does the grammar, this the limits, and what httptools is lax about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from framework.server.http import refusals
from framework.server.http.head import (
    HTTP_1_0,
    LINE_ENDS,
    UPGRADE_FIELDS,
    WATCHED_FIELDS,
    build_head,
    check_field,
    check_host,
    check_line,
    split_target,
)
from framework.server.http.limits import HttpLimits
from framework.server.http.refusals import RefusedError

__all__ = ["BODY", "HEAD", "IDLE", "RequestHead", "RequestReader", "RequestSink"]

# What comes next from the client.
IDLE: Final = 0
HEAD: Final = 1
BODY: Final = 2

_MAX_BLANK_BYTES: Final = 4
_CHUNK_FRAMING_BYTES: Final = 128


@dataclass(slots=True)
class RequestHead:
    """What a request begins with.

    Args:
        method: as it was sent.
        version: `1.1` or `1.0`.
        target: as it was sent.
        path: decoded.
        raw_path: as it was sent.
        query: without the question mark.
        fields: names in lower case, values as they were sent.
        watched: those of the fields that mean something to the protocol, by name.
        keep_alive: more requests may follow.
    """

    method: bytes
    version: str
    target: bytes
    path: str
    raw_path: bytes
    query: bytes
    fields: list[tuple[bytes, bytes]]
    watched: dict[bytes, bytes]
    keep_alive: bool


class RequestSink(Protocol):
    """What takes the requests of a connection."""

    def begin_request(self, head: RequestHead) -> None:
        """Take a header that is in order. May raise `RefusedError`."""

    def add_body(self, data: bytes) -> None:
        """Take a part of the body of the last request."""

    def end_request(self) -> None:
        """Learn that the last request is complete."""

    def leave_http(self, head: RequestHead, rest: bytes) -> None:
        """Take a connection over for another protocol, with what came behind the header."""


class RequestReader:
    """Reads the requests of one connection.

    Args:
        limits: what a client may send.
        sink: what takes the requests.
    """

    def __init__(self, limits: HttpLimits, sink: RequestSink) -> None:
        self.limits = limits
        self.sink = sink
        self.stage = IDLE
        self.seconds = 0
        """How long the stage lasts; counted by whoever has a clock."""
        self.count = 0
        """Requests whose header was in order."""
        self.body_bytes = 0
        """Bytes of the body of the last one."""
        self._slow_from = 0
        self._parser = HttpRequestParser(self)
        self._url = b""
        self._fields: list[tuple[bytes, bytes]] = []
        self._watched: dict[bytes, bytes] = {}
        self._dropped_fields = 0
        self._host: bytes | None = None
        self._head_bytes = 0
        # The packet that is being parsed, and those before it that hold the begin of its header.
        self._packet = b""
        self._begun_head = b""
        self._begins_packet = True
        self._foreign_bytes = 0
        self._is_chunked = False
        self._packet_body_bytes = 0
        self._packet_body_at = 0
        self._overhead_bytes = 0
        self._upgrade: RequestHead | None = None

    def feed(self, data: bytes) -> None:
        """Parse what was received. Raises `RefusedError` when it is no acceptable request."""
        count = self.count
        was_idle = self.stage == IDLE
        if was_idle:
            self._begins_packet = True
        self._packet = data
        self._packet_body_bytes = self._packet_body_at = 0
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as exc:
            self._go_on_without_parser(data[exc.args[0] :])
            return
        except HttpParserError as exc:
            cause = exc.__context__
            if isinstance(cause, RefusedError):
                raise cause from None
            raise RefusedError(refusals.BAD_REQUEST) from None
        if self.stage == HEAD:
            self._keep_head(data)
        elif self._is_chunked:
            self._count_overhead()
            # What one packet has left over is no credit for the next.
            self._overhead_bytes = max(0, self._overhead_bytes)
        elif was_idle and self.count == count:
            self._overhead_bytes += len(data)
            if self._overhead_bytes > _MAX_BLANK_BYTES:
                raise RefusedError(refusals.BAD_REQUEST_LINE)

    def close(self) -> None:
        """Let go of what refers to this object, so that no collector is needed to free it."""
        self._parser = self.sink = None  # type: ignore[assignment]

    def is_body_slow(self) -> bool:
        """Say, once a second, whether the body has come too slowly since this was last looked at."""
        limits = self.limits
        if self.seconds < limits.body_grace_seconds:
            return False
        progress = self.body_bytes - self._slow_from
        self.seconds, self._slow_from = 0, self.body_bytes
        return progress < limits.body_rate * limits.body_grace_seconds

    def find_request_line(self) -> tuple[str | None, str | None]:
        """Return method and path of the request whose header is read, as far as they are known."""
        if self.stage != HEAD or not self._url:
            return None, None
        path = self._url.partition(b"?")[0].decode("latin-1")
        return self._parser.get_method().decode("ascii"), unquote(path)

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.stage = HEAD
        self.seconds = 0
        self._head_bytes = self._foreign_bytes = self._dropped_fields = 0
        self._url = b""
        self._fields = []
        self._watched = {}
        self._is_chunked = False

    def on_url(self, url: bytes) -> None:
        """Take a part of the request target."""
        self._url += url
        if len(self._url) > self.limits.request_line:
            raise RefusedError(refusals.LONG_TARGET)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header field, or a trailer field, which is dropped (RFC 9110 section 6.5.1)."""
        size = len(name) + len(value)
        self._head_bytes += size
        if size > self.limits.header_field:
            raise RefusedError(refusals.LONG_FIELD)
        if self.stage == BODY:
            if self._head_bytes > self.limits.header_section:
                raise RefusedError(refusals.LARGE_HEADER)
            return
        if len(self._fields) + self._dropped_fields >= self.limits.header_count:
            raise RefusedError(refusals.MANY_FIELDS)
        # Some applications take "X_Forwarded_For" for the field with hyphens (CVE-2026-3902).
        if b"_" in name:
            self._dropped_fields += 1
            return
        name = name.lower()
        if name in WATCHED_FIELDS:
            check_field(name, value, self._watched)
            self._watched[name] = value
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Check the header as a whole and hand it over."""
        parser = self._parser
        limits = self.limits
        method = parser.get_method()
        version = parser.get_http_version()
        if version not in LINE_ENDS:
            raise RefusedError(refusals.UNKNOWN_VERSION)
        line = method + b" " + self._url + LINE_ENDS[version]
        raw = self._begun_head + self._packet if self._begun_head else self._packet
        if not (self._begins_packet and raw.startswith(line)):
            check_line(line, raw, begins=self._begins_packet)
        if len(line) > limits.request_line:
            raise RefusedError(refusals.LONG_TARGET)
        if self._head_bytes > limits.header_section:
            raise RefusedError(refusals.LARGE_HEADER)
        watched = self._watched
        host = watched.get(b"host")
        if host is None or host != self._host:
            check_host(host, version)
            self._host = host
        path, raw_path, query = split_target(method, self._url, host)
        if b"transfer-encoding" in watched:
            self._begin_chunks(version, raw)
        keep_alive = version != HTTP_1_0 and parser.should_keep_alive()
        head = RequestHead(
            method, version, self._url, path, raw_path, query, self._fields, watched, keep_alive
        )
        self._begun_head = b""
        self._begins_packet = False
        if b"upgrade" in watched and parser.should_upgrade():
            self._upgrade = head
            return
        self.sink.begin_request(head)
        self.stage = BODY
        self.seconds = self.body_bytes = self._slow_from = self._head_bytes = 0
        self.count += 1

    def on_chunk_header(self) -> None:
        """Count a chunk: some bytes of it are framing."""
        self._overhead_bytes -= _CHUNK_FRAMING_BYTES

    def on_body(self, data: bytes) -> None:
        """Hand a part of the body over."""
        self.body_bytes += len(data)
        self._packet_body_bytes += len(data)
        self.sink.add_body(data)

    def on_message_complete(self) -> None:
        """End a request."""
        if self._upgrade is not None:
            return
        if self._is_chunked:
            # What belongs to the next request in the packet must not be counted.
            if b" HTTP/1." not in self._packet[self._packet_body_at :]:
                self._count_overhead()
            self._is_chunked = False
        self.stage = IDLE
        self.seconds = self._overhead_bytes = 0
        self.sink.end_request()

    def _count_overhead(self) -> None:
        """Count what of the packet was neither header nor body: chunk extensions, mostly."""
        self._overhead_bytes += len(self._packet) - self._packet_body_bytes
        if self._overhead_bytes > self.limits.chunk_overhead:
            raise RefusedError(refusals.LONG_CHUNK_EXTENSION)

    def _begin_chunks(self, version: str, raw: bytes) -> None:
        if version == HTTP_1_0:
            raise RefusedError(refusals.CHUNKED_IN_1_0)
        self._is_chunked = True
        self._packet_body_bytes = 0
        # What this packet has before the body does not count. Where nobody knows how much that is, behind
        # another request, all of the packet does not.
        self._packet_body_at = len(self._packet)
        if self._begins_packet:
            self._packet_body_at = raw.find(b"\r\n\r\n") + 4 - len(self._begun_head)
        self._overhead_bytes = -self._packet_body_at

    def _keep_head(self, data: bytes) -> None:
        """Keep the begin of a header, to see its request line when it is complete."""
        if not self._begun_head and not self._begins_packet:
            self._foreign_bytes = len(data)  # at most: it begins somewhere in this packet
        self._begun_head += data
        size = len(self._begun_head) - self._foreign_bytes
        if size > self.limits.request_line + self.limits.header_section:
            raise RefusedError(refusals.LARGE_HEADER)

    def _go_on_without_parser(self, rest: bytes) -> None:
        """Deal with a wish for another protocol, where the parser has stopped."""
        head, self._upgrade = self._upgrade, None
        if head is None:
            raise RefusedError(refusals.BAD_REQUEST)
        watched = head.watched
        self.stage = IDLE
        if head.version == HTTP_1_0:
            # It has no such wishes (RFC 9110 section 7.8), and the parser has gone too far.
            raise RefusedError(refusals.BAD_REQUEST)
        if watched[b"upgrade"].lower() == b"websocket":
            if b"transfer-encoding" in watched or watched.get(b"content-length", b"0") != b"0":
                raise RefusedError(refusals.BAD_UPGRADE)
            self.sink.leave_http(head, rest)
            return
        # Such wishes may be ignored (RFC 9110 section 7.8). The parser has not looked at the body, so
        # that it is asked again, about a request without the wish.
        self._parser = HttpRequestParser(self)
        ends = () if head.keep_alive else ((b"connection", b"close"),)
        plain = build_head(
            head.method, head.target, head.fields, without=UPGRADE_FIELDS, added=ends
        )
        self.feed(plain + rest)
