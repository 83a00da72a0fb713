"""uvicorn's protocols with zttp, under the deadlines of the hardened protocol: HTTP/1.1, and the choice."""

from __future__ import annotations

import asyncio
import sys
from typing import Any, Final

import zttp
from uvicorn.protocols.http.auto_zttp_impl import AutoZttpProtocol
from uvicorn.protocols.http.zttp_impl import RequestResponseCycle, ZttpProtocol

from framework.observability.health import readiness
from framework.responses.sse import STOPPING_SCOPE_KEY
from framework.server.http import refusals
from framework.server.http.fields import default_fields
from framework.server.http.head import HTTP_1_0, LINE_ENDS
from framework.server.http.limits import HttpLimits
from framework.server.http.outlet import Outlet
from framework.server.http.protocol import (
    FIRST_REQUEST_SECONDS,
    NEXT_REQUEST_SECONDS,
    find_stopping,
)
from framework.server.http.refusals import Refusal, record_refusal
from framework.server.http.stall import StallWatch, count_untaken
from framework.server.http.zttp_h2 import HardenedZttpH2Protocol

__all__ = ["HardenedZttpProtocol", "PrefaceProtocol"]

_LINE_ENDS: Final = tuple(end.rstrip() for end in LINE_ENDS.values())
_CLOSE: Final = (b"connection", b"close")
_END: Final = b"\r\n\r\n"
_TOO_LARGE: Final = "size limit"


class HardenedZttpProtocol(ZttpProtocol):
    """One connection in HTTP/1.1.

    On top of uvicorn's: the deadlines, which `on_second` counts as in `HardenedHttpProtocol`; refusals
    instead of one text for all; an end that the client can read; no loss of what comes behind a
    handshake. Limits of headers are the business of `HeaderGuard`.

    Args:
        limits: what a client may send, and how long it may take.
    """

    def __init__(self, *args: Any, limits: HttpLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self.outlet: Outlet = None  # type: ignore[assignment] # until there is a connection
        self.stall = StallWatch(limits.stalled_seconds, limits.read_rate)
        self.body = StallWatch(limits.body_grace_seconds, limits.body_rate)
        self.stopping = find_stopping(self.server_state)
        self.is_stopping = False
        self.seconds = 0
        """How long the client has been expected to do something; a body has a watch of its own."""
        self.count = 0
        self.received = 0
        """Bytes of the body of the last request, with what frames it."""
        self.has_begun = False
        """Something has come of a request whose header is not complete."""
        self.has_line = False
        """Its first line is complete."""
        self.has_pipelined = False
        self.is_new = True
        """Nothing has come at all."""
        self.latest: RequestResponseCycle | None = None
        """The last exchange; uvicorn's `cycle`, when it is prepared."""
        # What is being parsed, and the end of what was before it.
        self.packet = self.before = b""

    @property
    def is_running(self) -> bool:
        """Whether an application has not answered yet."""
        cycle = self.latest
        return cycle is not None and not (cycle.response_complete or cycle.disconnected)

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self.outlet = Outlet(transport, self.limits, self._is_all_read)
        super().connection_made(self.outlet)  # type: ignore[arg-type] # does what a transport does

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that its client is gone; no timer stays behind."""
        super().connection_lost(exc)
        self._unset_keepalive_if_required()

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        cycle = self.latest
        if self.outlet.is_over:
            self.outlet.discard(len(data))
            return
        if cycle is not None and cycle.more_body:
            self.received += len(data)
            if cycle.response_complete:
                self.outlet.discard(len(data))
        elif self.is_running:
            # The parser would keep megabytes.
            self.has_pipelined = True
            self.flow.pause_reading()
        else:
            if not self.has_begun:
                self.has_begun = True
                self.has_line = False
                self.seconds = 0
                self.before = b""  # of another request
            if self.is_new:
                # Later nobody knows here where in a packet a request begins.
                self.is_new = False
                # One empty line is allowed (RFC 9112 section 2.2).
                data = data.removeprefix(b"\r\n")
                if (refusal := find_early_refusal(data)) is not None:
                    self.refuse(refusal)
                    return
            self.has_line = self.has_line or b"\r\n" in data
        self.packet = data
        super().data_received(data)
        self.packet, self.before = b"", data[-len(_END) :]

    def shutdown(self) -> None:
        """Take no more requests than the one that may be on its way, and close."""
        self.is_stopping = True
        self.stopping.set()
        if self.latest is not None and self.is_running:
            self._make_last(self.latest)
            return
        delay = NEXT_REQUEST_SECONDS if self.count else FIRST_REQUEST_SECONDS
        self.loop.call_later(delay, self._close_if_idle)

    def on_second(self) -> None:
        """Count a second, and end what takes too long."""
        outlet, limits, cycle = self.outlet, self.limits, self.latest
        if outlet.transport.is_closing():
            return
        untaken = count_untaken(outlet.transport)
        if self.stall.is_stalled(outlet.written - untaken, is_due=untaken > 0):
            outlet.abort()
        elif outlet.is_over:
            outlet.on_second()
        elif self.flow.read_paused:
            return
        elif cycle is not None and cycle.more_body:
            if self.body.is_stalled(self.received, is_due=not cycle.waiting_for_100_continue):
                self.refuse(refusals.SLOW_BODY)
        elif not self.is_running:
            self.seconds += 1
            if self.has_begun:
                if self.seconds > limits.header_seconds:
                    self.refuse(refusals.SLOW_HEADER)
            elif self.seconds > (
                self.timeout_keep_alive if self.count else limits.first_byte_seconds
            ):
                outlet.shut()

    # Requests

    def handle_events(self, event: zttp.Event) -> None:
        """Take what the parser has found."""
        try:
            super().handle_events(event)
        except UnicodeDecodeError:
            # uvicorn takes it for granted that a target is ASCII.
            self.refuse(refusals.BAD_TARGET)
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not self.latest and cycle is not None:
            self.latest = cycle
            self.count += 1
            self.seconds = 0
            self.received = len(cycle.body)
            self.has_begun = False
            self.body = StallWatch(self.limits.body_grace_seconds, self.limits.body_rate)
            self.outlet.begin_to_discard()
            # It has not been started yet.
            cycle.scope[STOPPING_SCOPE_KEY] = self.stopping  # type: ignore[typeddict-unknown-key]
            if cycle.scope["http_version"] == HTTP_1_0:
                cycle.waiting_for_100_continue = False  # RFC 9110 section 10.1.1
            if self.is_stopping or readiness.state == "draining":
                self._make_last(cycle)

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self.seconds = 0
        super().on_response_complete()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: wishes may be ignored (RFC 9110 section 7.8), and anybody could fill the log."""

    def handle_websocket_upgrade(self, event: zttp.Request) -> None:
        """Hand the connection over, with what has come behind the handshake."""
        fields = dict(self.headers)
        has_body = fields.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in fields
        if has_body or not self.packet or event.http_version != b"1.1":
            self.refuse(refusals.BAD_UPGRADE)
            return
        rest = (self.before + self.packet).partition(_END)[2]
        self.transport = transport = self.outlet.transport
        super().handle_websocket_upgrade(event)
        protocol: Any = transport.get_protocol()
        if self.flow.write_paused:
            protocol.pause_writing()
        if rest:
            protocol.data_received(rest)
        if self.is_stopping:
            protocol.shutdown()

    # Ends

    def handle_remote_protocol_error(self) -> None:
        """Refuse what is no HTTP, or too large."""
        refusal = refusals.BAD_REQUEST
        if self.has_begun and _TOO_LARGE in str(sys.exception()):
            refusal = refusals.LARGE_HEADER if self.has_line else refusals.LONG_TARGET
        self.refuse(refusal)

    def refuse(self, refusal: Refusal) -> None:
        """Answer in place of the application, and end the connection."""
        cycle = self.latest
        if cycle is not None and (self.is_running or cycle.more_body):
            has_answer = cycle.response_started
            # The access line of such a request is written around the application.
            cycle.disconnected = True
            cycle.message_event.set()
        else:
            has_answer = False
            record_refusal(refusal, self.client, None, None)
        if not has_answer:
            self.transport.write(
                refusal.build(default_fields.encode(self.server_state.default_headers))
            )
        self.has_begun = True
        self.transport.close()

    def _is_all_read(self) -> bool:
        is_body_read = self.latest is None or not self.latest.more_body
        return is_body_read and not self.has_begun and not self.has_pipelined

    def _make_last(self, cycle: RequestResponseCycle) -> None:
        cycle.keep_alive = False
        if not cycle.response_started:
            cycle.default_headers = [*cycle.default_headers, _CLOSE]

    def _close_if_idle(self) -> None:
        if not self.is_running and not self.has_begun:
            self.outlet.shut()


class PrefaceProtocol(AutoZttpProtocol):
    """A connection until it is known which version it speaks: by ALPN, or by its first bytes.

    Args:
        limits: what a client may send, and how long it may take.
    """

    def __init__(self, *args: Any, limits: HttpLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self.seconds = 0
        self.is_stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; `on_second` counts instead of a timer."""
        super().connection_made(transport)
        if self.timeout_task is not None:
            self.timeout_task.cancel()
            self.timeout_task = None

    def on_second(self) -> None:
        """Count a second."""
        self.seconds += 1
        limits = self.limits
        if self.seconds > (limits.header_seconds if self.buffer else limits.first_byte_seconds):
            self.transport.close()

    def shutdown(self) -> None:
        """Take the request that may be on its way, and close."""
        self.is_stopping = True
        self.loop.call_later(FIRST_REQUEST_SECONDS, self._close_if_silent)

    def _close_if_silent(self) -> None:
        if self in self.connections:
            self.transport.close()

    def _switch(self, http2: bool, initial_data: bytes = b"") -> None:
        protocol_class = HardenedZttpH2Protocol if http2 else HardenedZttpProtocol
        protocol = protocol_class(
            self.config, self.server_state, self.app_state, self.loop, limits=self.limits
        )
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self.is_stopping:
            protocol.shutdown()
        if initial_data:
            protocol.data_received(initial_data)


def find_early_refusal(data: bytes) -> Refusal | None:
    """Return why a request cannot begin so, None when it may: the parser waits for a whole header.

    Of a TLS hello, or a banner of another protocol, there will be none.
    """
    line, end, _ = data.partition(b"\r\n")
    if not end:
        return None if not data or b" " < data[:1] < b"\x7f" else refusals.BAD_REQUEST_LINE
    if not line or line.endswith(_LINE_ENDS):
        return None
    method, _, rest = line.partition(b" ")
    is_other_version = rest.startswith(b"/") and method.isalpha() and rest.count(b" ") < 2
    return refusals.UNKNOWN_VERSION if is_other_version else refusals.BAD_REQUEST_LINE
