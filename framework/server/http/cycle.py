"""One request and its response: the two ASGI callables behind which HTTP/1.1 stands."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from framework.exceptions import ClientDisconnect
from framework.server.http.fields import build_status_line, encode_field_line
from framework.server.http.head import HTTP_1_0
from framework.types import ASGIApp, Message, Scope

__all__ = ["CycleOwner", "RequestCycle"]

_ERROR_HEADERS: Final = ((b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close"))
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"

# A body above this is not copied behind its head but written on its own.
_MAX_JOINED_BYTES: Final = 64 * 1024

_logger = logging.getLogger("uvicorn.error")


class CycleOwner(Protocol):
    """What a cycle needs from its connection."""

    transport: asyncio.Transport
    flow: FlowControl
    written: int

    @property
    def default_lines(self) -> bytes:
        """The fields that the server puts on every response, as lines."""

    def on_cycle_complete(self, cycle: RequestCycle) -> None:
        """The last byte of the response has been written."""

    def on_cycle_ended(self, cycle: RequestCycle) -> None:
        """The application has returned."""


class RequestCycle:
    """The state of one exchange; `receive` and `send` are what the application gets.

    Args:
        owner: the connection.
        scope: the ASGI scope.
        keep_alive: the connection may be used again, as far as the request is concerned.
        expects_continue: the client waits for `100 Continue` before it sends the body.
    """

    __slots__ = (
        "_ends_with_connection",
        "_event",
        "_head",
        "_is_chunked",
        "_left",
        "body",
        "disconnected",
        "expects_continue",
        "has_news",
        "keep_alive",
        "more_body",
        "owner",
        "refused_with",
        "response_complete",
        "response_started",
        "scope",
        "task",
    )

    def __init__(
        self, owner: CycleOwner, scope: Scope, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.owner = owner
        self.scope = scope
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self.body: bytes | bytearray = b""
        self.more_body = True
        self.has_news = False
        self.disconnected = False
        self.refused_with = 0
        """The status with which the server has answered in place of the application."""
        self.response_started = False
        self.response_complete = False
        self.task: asyncio.Task[None] | None = None
        self._event: asyncio.Event | None = None
        self._head: bytes | None = None
        self._is_chunked = False
        self._ends_with_connection = False
        self._left = 0

    def add_body(self, data: bytes) -> int:
        """Keep a part of the body for `receive`; return how many bytes wait now."""
        if not self.body:
            self.body = data
        elif isinstance(self.body, bytearray):
            self.body += data
        else:
            self.body = bytearray(self.body) + data
        self.wake()
        return len(self.body)

    def wake(self) -> None:
        """Let `receive` look again."""
        self.has_news = True
        if self._event is not None:
            self._event.set()

    async def run(self, app: ASGIApp) -> None:
        """Call the application, and answer for it when it did not."""
        try:
            await app(self.scope, self.receive, self.send)
            if not self.response_complete and not self.disconnected:
                problem = "completing" if self.response_started else "starting"
                _logger.error("ASGI callable returned without %s response.", problem)
                self._fail(500)
        except asyncio.CancelledError:
            # The server is stopping and this request has not ended in time.
            self._fail(503)
        except BaseException as exc:  # a worker outlives what its application does
            # That a client went away is no fault of the application.
            if not (self.disconnected and isinstance(exc, ClientDisconnect)):
                _logger.exception("Exception in ASGI application")
            self._fail(500)
        finally:
            self.owner.on_cycle_ended(self)

    async def receive(self) -> Message:
        """Return the next part of the body, or `http.disconnect` when there will be no more."""
        owner = self.owner
        if self.expects_continue and not owner.transport.is_closing():
            owner.transport.write(_CONTINUE)
            self.expects_continue = False
        if not self.has_news and not self.disconnected and not self.response_complete:
            owner.flow.resume_reading()
            if self._event is None:
                self._event = asyncio.Event()
            self._event.clear()
            await self._event.wait()
        self.has_news = False
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""
        return {"type": "http.request", "body": bytes(body), "more_body": self.more_body}

    async def send(self, message: Message) -> None:
        """Write a part of the response.

        Raises:
            RuntimeError: the message does not fit the state of the response.
            ValueError: a header field cannot be sent.
        """
        flow = self.owner.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if self.response_started:
            if kind != "http.response.body" or self.response_complete:
                state = "complete" if self.response_complete else "started"
                raise RuntimeError(f"ASGI message {kind!r} after the response was {state}")
            self._write_body(message.get("body", b""), message.get("more_body", False))
        elif kind == "http.response.start":
            self._begin(message["status"], message.get("headers", ()))
        else:
            raise RuntimeError(f"ASGI message {kind!r} before 'http.response.start'")

    def _begin(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        lines = [build_status_line(status), self.owner.default_lines]
        length: int | None = None
        is_chunked = says_close = False
        for name, value in headers:
            line = encode_field_line(name, value)
            if line.startswith(b"content-length:"):
                length = _read_length(value, length)
                continue
            if line.startswith(b"transfer-encoding:"):
                # How the message is framed is decided here, and said once.
                is_chunked = True
                continue
            if line.startswith(b"connection:"):
                says_close = says_close or b"close" in value.lower()
            lines.append(line)
        if self.expects_continue:
            # The client may send the body or not: what comes next could be either.
            self.keep_alive = False
        if says_close:
            self.keep_alive = False
        elif not self.keep_alive:
            lines.append(b"connection: close\r\n")
        lines.append(self._frame(status, None if is_chunked else length))
        self.response_started = True
        self.expects_continue = False
        head = b"".join(lines)
        if self._is_chunked or self._ends_with_connection:
            # A stream may have its first part much later; the client is to know that it is open.
            self._write(head)
        else:
            self._head = head

    def _frame(self, status: int, length: int | None) -> bytes:
        """Decide how the client finds the end of the response; return the line about it.

        RFC 9110 section 8.6: a 204 has no Content-Length. RFC 9112 section 6.1: a client of HTTP/1.0
        knows no chunks, its response ends with the connection.
        """
        line = b"" if length is None else b"content-length: %d\r\n" % length
        if self.scope["method"] == "HEAD" or status in (204, 304):
            self._left = -1
            line = b"" if status == 204 else line
        elif length is not None:
            self._left = length
        elif self.scope["http_version"] == HTTP_1_0:
            self._ends_with_connection = True
        else:
            self._is_chunked = True
            line = b"transfer-encoding: chunked\r\n"
        return line + b"\r\n"

    def _write_body(self, body: bytes, more_body: bool) -> None:
        if self._ends_with_connection:
            if body:
                self._write(body)
        elif self._is_chunked:
            size = len(body)
            if size:
                end = b"\r\n" if more_body else b"\r\n" + _LAST_CHUNK
                self._write(b"%x\r\n%b%b" % (size, body, end))
            elif not more_body:
                self._write(_LAST_CHUNK)
        elif self._left < 0:
            self._write_first(b"")
        else:
            self._left -= len(body)
            if self._left < 0:
                raise RuntimeError("Response content longer than Content-Length")
            self._write_first(body)
        if more_body:
            return
        if self._left > 0:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        if self._event is not None:
            self._event.set()
        self.owner.on_cycle_complete(self)

    # PERF: the head goes out with the first part of the body, in one piece and one call.
    def _write_first(self, body: bytes) -> None:
        head = self._head
        if head is None:
            if body:
                self._write(body)
            return
        self._head = None
        if len(body) <= _MAX_JOINED_BYTES:
            self._write(head + body)
        else:
            self._write(head)
            self._write(body)

    def _write(self, data: bytes) -> None:
        owner = self.owner
        owner.written += len(data)
        owner.transport.write(data)

    def _fail(self, status: int) -> None:
        """Answer with an error page if there is still a way to; else end the connection."""
        if self.disconnected or self.response_complete:
            return
        if self.response_started and self._head is None:
            self.owner.transport.abort()
            return
        self.response_started = False
        self._head = None
        body = b"Internal Server Error" if status == 500 else b"Service Unavailable"
        length = (b"content-length", b"%d" % len(body))
        self._is_chunked = self._ends_with_connection = False
        self._begin(status, (*_ERROR_HEADERS, length))
        self._write_body(body, more_body=False)


def _read_length(value: bytes, earlier: int | None) -> int:
    if not value.isdigit():
        raise ValueError(f"content-length {value!r} is not allowed; use digits")
    length = int(value)
    if earlier is not None and earlier != length:
        raise ValueError(f"content-length {value!r} is not allowed beside {earlier}; send one")
    return length
