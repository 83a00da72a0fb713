"""`HardenedWebSocketProtocol`: uvicorn's WebSocket protocol, with bounds where a client could have none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from framework.server.http.stall import count_untaken

__all__ = ["HardenedWebSocketProtocol"]

WS_STALLED_SECONDS: Final = 20.0
"""How long a client may read nothing of what waits for it, and how long it may take to go."""

WS_READ_RATE: Final = 128
"""Bytes a second that it has to read while something waits."""

MAX_MESSAGE_FRAGMENTS: Final = 4096
"""Fragments of one message: empty ones cost memory and count nothing towards its size."""

MAX_PINGS_PER_SECOND: Final = 100
"""Pings that are answered; a client that sends more is in no need of answers (RFC 6455 section 5.5.2)."""


LINGER_SECONDS: Final = 1.0
MAX_LINGER_BYTES: Final = 16 * 1024 * 1024
"""A client that was refused may still be sending: a socket that is closed meanwhile is reset, and the client
never sees why. It has this time and this much to notice."""


class HardenedWebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket.

    On top of uvicorn's: a client that reads too slowly, or not at all, is cut off, so that what is sent
    to it fails; its pings are not answered meanwhile. Fragments and pings are limited. Text that is no
    UTF-8 closes with 1007 and is no error in the log. The log does not show queries of handshakes, which
    may hold tokens: the access line of the application tells of them.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _QuietLogger(self.logger)  # type: ignore[assignment] # the part that is used
        self.stall_timer: asyncio.TimerHandle | None = None
        self.stalled_bytes = 0
        self.ping_window = 0.0
        self.ping_count = 0
        # Refused; what still comes is thrown away.
        self.is_over = False
        self.discarded_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        if not self.is_over:
            super().data_received(data)
            if self.conn.handshake_exc is not None and not self.handshake_initiated:
                # uvicorn would leave it without an answer, for ever.
                self.transport.write(_BAD_HANDSHAKE)
                self.transport.close()
            return
        self.discarded_bytes += len(data)
        if self.discarded_bytes > MAX_LINGER_BYTES:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that its client is gone."""
        self._stop_stall_timer()
        super().connection_lost(exc)

    def send(self, message: Any) -> Coroutine[Any, Any, None]:
        """Send what the application sends. Raises `ClientDisconnected`, an `OSError`, once it is refused."""
        # The usual case goes there without another coroutine: `load.bench sockets` measures it.
        if self.handshake_complete and self.writable.is_set() and not self.is_over:
            return super().send(message)
        return self._send_or_refuse(message)

    async def _send_or_refuse(self, message: Any) -> None:
        await self.writable.wait()
        if self.is_over:
            # uvicorn would take it for an application that sends after its own close.
            raise ClientDisconnected
        await super().send(message)
        if self.close_sent and self.initial_response is not None:
            # A whole refusal is an answer; uvicorn would log that there is none.
            self.handshake_complete = True

    def handle_connect(self, event: Request) -> None:
        """Take a handshake; one in another version is told which one is spoken (RFC 6455 section 4.4)."""
        if event.headers.get_all("Sec-WebSocket-Version") == ["13"]:
            super().handle_connect(event)
            return
        self.handshake_initiated = self.handshake_complete = self.close_sent = True
        self.transport.write(_OTHER_VERSION)
        self.transport.close()

    # A client that does not read

    def pause_writing(self) -> None:
        """Begin to count the time in which the client reads too little."""
        super().pause_writing()
        self._watch_stall()

    def resume_writing(self) -> None:
        """Let the application send again."""
        super().resume_writing()
        self._stop_stall_timer()

    def shutdown(self) -> None:
        """Close with 1012; do not wait for ever for the client to read that."""
        super().shutdown()
        self._abort_later()

    def keepalive_timeout(self) -> None:
        """Close with 1011; a client that answers no pings will hardly read that."""
        super().keepalive_timeout()
        self._abort_later()

    def handle_parser_exception(self) -> None:
        """Close with the code of what was wrong, and let the client read that."""
        if self.is_over:
            return
        self.is_over = True
        self.stop_keepalive()
        transport = self.transport
        close = self.conn.close_sent
        if close is None:
            # It came behind a handshake that has not been answered.
            self.queue.put_nowait({"type": "websocket.disconnect", "code": 1006})
            transport.write(_BAD_HANDSHAKE)
            self.handshake_complete = True
        else:
            self.queue.put_nowait(
                {"type": "websocket.disconnect", "code": close.code, "reason": close.reason}
            )
            transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if not transport.can_write_eof():
            transport.close()
            return
        transport.write_eof()
        transport.resume_reading()
        self.close_timer = self.loop.call_later(LINGER_SECONDS, transport.close)
        self._abort_later()

    def _watch_stall(self) -> None:
        self._stop_stall_timer()
        self.stalled_bytes = count_untaken(self.transport)
        self.stall_timer = self.loop.call_later(WS_STALLED_SECONDS, self._end_stall)

    def _end_stall(self) -> None:
        read = self.stalled_bytes - count_untaken(self.transport)
        if read < WS_READ_RATE * WS_STALLED_SECONDS:
            self.transport.abort()
        else:
            self._watch_stall()

    def _abort_later(self) -> None:
        if self.stall_timer is None and self.transport.get_write_buffer_size():
            self._watch_stall()

    def _stop_stall_timer(self) -> None:
        if self.stall_timer is not None:
            self.stall_timer.cancel()
            self.stall_timer = None

    # Frames

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment, unless there are too many."""
        if len(self.frames) < MAX_MESSAGE_FRAGMENTS:
            super().handle_cont(event)
        else:
            self._refuse(1009, "too many fragments")

    def handle_ping(self) -> None:
        """Answer a ping, unless the client does not read; pings without end are a reason to close."""
        now = self.loop.time()
        if now >= self.ping_window + 1.0:
            self.ping_window, self.ping_count = now, 0
        self.ping_count += 1
        if self.ping_count > MAX_PINGS_PER_SECOND:
            self._refuse(1008, "too many pings")
        elif self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def send_receive_event_to_app(self) -> None:
        """Hand a message to the application."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        message: Any = {"type": "websocket.receive"}
        if self.curr_msg_data_type == "text":
            try:
                message["text"] = data.decode()
            except UnicodeDecodeError:
                self._refuse(1007, "text that is no UTF-8")
                return
        else:
            message["bytes"] = data
        self.queue.put_nowait(message)
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def _refuse(self, code: int, reason: str) -> None:
        self.frames = []
        if not self.close_sent and not self.transport.is_closing():
            self.conn.fail(code, reason)
            self.handle_parser_exception()


_BAD_HANDSHAKE: Final = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 11\r\n"
    b"content-type: text/plain; charset=utf-8\r\n\r\nBad Request"
)

_OTHER_VERSION: Final = (
    b"HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13\r\nconnection: close, upgrade\r\n"
    b"upgrade: websocket\r\ncontent-length: 0\r\n\r\n"
)


class _QuietLogger:
    """The logger of uvicorn without its line for each handshake."""

    __slots__ = ("_logger",)

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def info(self, *args: Any) -> None:
        """Say nothing."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logger, name)
