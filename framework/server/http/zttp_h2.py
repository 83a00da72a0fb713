"""uvicorn's HTTP/2 protocol, under deadlines and limits."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import zttp
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.zttp_h2_impl import RequestResponseCycle, ZttpH2Protocol

from framework.observability.health import readiness
from framework.responses.sse import STOPPING_SCOPE_KEY
from framework.server.http import refusals
from framework.server.http.frames import FrameScanner
from framework.server.http.limits import HttpLimits
from framework.server.http.outlet import Outlet
from framework.server.http.protocol import (
    FIRST_REQUEST_SECONDS,
    NEXT_REQUEST_SECONDS,
    find_stopping,
)
from framework.server.http.refusals import Refusal, record_refusal
from framework.server.http.stall import StallWatch, count_untaken

__all__ = ["HardenedZttpH2Protocol"]

MAX_UNASKED_FRAMES: Final = 10_000
"""PING, SETTINGS and other frames a second that carry neither a request nor content."""

MAX_REQUESTS: Final = 2000
"""After these the client is asked for another connection; zttp itself breaks off after 4096."""

# RFC 9113 section 7, and the highest stream there is (section 6.8).
_NO_ERROR: Final = 0
_PROTOCOL_ERROR: Final = 1
_CANCEL: Final = 8
_CALM: Final = 11
_LAST_STREAM: Final = 0x7FFFFFFF


class StreamOutlet:
    """What an exchange takes for its stream and for its flow control.

    uvicorn hands a whole response to zttp, which keeps what the window of the client does not take:
    all of it, in memory. Here the application waits, as it does for the connection.
    """

    __slots__ = ("_event", "_flow", "body", "cycle", "stall", "stream", "written")

    def __init__(
        self,
        stream: zttp.Stream,
        flow: FlowControl,
        cycle: RequestResponseCycle,
        limits: HttpLimits,
    ) -> None:
        self.stream = stream
        self.cycle = cycle
        self.written = 0
        self.stall = StallWatch(limits.stalled_seconds, limits.read_rate)
        self.body = StallWatch(limits.body_grace_seconds, limits.body_rate)
        self._flow = flow
        self._event = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)

    @property
    def pending(self) -> int:
        """Bytes that wait for the window."""
        return self.stream.pending_bytes or 0

    def send_data(self, data: bytes) -> None:
        """Send, and count."""
        self.written += len(data)
        self.stream.send_data(data)

    @property
    def write_paused(self) -> bool:
        """Whether the application has to wait."""
        return self._flow.write_paused or self.pending > HIGH_WATER_LIMIT

    async def drain(self) -> None:
        """Wait until the client has taken enough."""
        while self.write_paused and not self.cycle.disconnected:
            if self._flow.write_paused:
                await self._flow.drain()
            else:
                self._event.clear()
                await self._event.wait()

    def wake(self) -> None:
        """Let the application look again."""
        self._event.set()


class HardenedZttpH2Protocol(ZttpH2Protocol):
    """One connection in HTTP/2.

    zttp itself limits streams at once (128), streams that are reset (256), CONTINUATION frames (16) and
    the size of headers, and breaks off. On top of that: the deadlines of HTTP/1.1, for each stream;
    responses wait for the window; a limit on frames of no use; an end that waits for what is to be sent.

    Args:
        limits: what a client may send, and how long it may take.
    """

    def __init__(self, *args: Any, limits: HttpLimits, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits = limits
        self.outlet: Outlet = None  # type: ignore[assignment] # until there is a connection
        self.stall = StallWatch(limits.stalled_seconds, limits.read_rate)
        self.scanner = FrameScanner()
        self.outlets: dict[int, StreamOutlet] = {}
        self.stopping = find_stopping(self.server_state)
        self.is_leaving = False
        self.count = 0
        self.idle_seconds = 0
        self.unit_seconds = 0
        self.seen_units = 0

    # The connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self.outlet = Outlet(transport, self.limits, _never)
        super().connection_made(self.outlet)  # type: ignore[arg-type] # does what a transport does

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the applications that their client is gone."""
        super().connection_lost(exc)
        for outlet in self.outlets.values():
            outlet.wake()
        self.outlets.clear()

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        if self.outlet.is_over:
            self.outlet.discard(len(data))
            return
        self.scanner.feed(data)
        if self.scanner.unasked > MAX_UNASKED_FRAMES:
            self.break_off(_CALM)
            return
        try:
            self.conn.receive_data(data)
            self.handle_events()
        except zttp.RemoteProtocolError:
            # zttp has its GOAWAY ready.
            self.break_off(None)
            return
        self.flush()
        self._forget_ended()
        for outlet in self.outlets.values():
            outlet.wake()

    def shutdown(self) -> None:
        """Ask the client to go elsewhere, take what is on its way, and close."""
        self.stopping.set()
        self.leave()
        delay = NEXT_REQUEST_SECONDS if self.count else FIRST_REQUEST_SECONDS
        self.loop.call_later(delay, self._close_if_idle)

    def leave(self) -> None:
        """Announce that there will be no more requests (RFC 9113 section 6.8); they are served still."""
        if not self.is_leaving:
            self.is_leaving = True
            self.conn.close(_NO_ERROR, _LAST_STREAM)
            self.flush()

    def on_second(self) -> None:
        """Count a second, and end what takes too long."""
        outlet, scanner, limits = self.outlet, self.scanner, self.limits
        if outlet.transport.is_closing():
            return
        untaken = count_untaken(outlet.transport)
        if self.stall.is_stalled(outlet.written - untaken, is_due=untaken > 0):
            outlet.abort()
            return
        if outlet.is_over:
            outlet.on_second()
            return
        scanner.unasked = 0
        self._forget_ended()
        self._watch_streams()
        if self.flow.read_paused:
            return
        if readiness.state == "draining":
            self.leave()
        is_stuck = scanner.is_within and scanner.units == self.seen_units
        self.seen_units = scanner.units
        self.unit_seconds = self.unit_seconds + 1 if is_stuck else 0
        self.idle_seconds = 0 if self.outlets else self.idle_seconds + 1
        patience = self.timeout_keep_alive if self.count else limits.first_byte_seconds
        if self.unit_seconds > limits.header_seconds:
            self.break_off(_PROTOCOL_ERROR)
        elif self.idle_seconds > (1 if self.is_leaving else patience):
            self._close_connection()

    def timeout_keep_alive_handler(self) -> None:
        """Do nothing: what is idle is found by `on_second`, which knows what is still to be sent."""

    def break_off(self, error: int | None) -> None:
        """End the connection with an error; None when there is one already."""
        record_refusal(refusals.BAD_FRAMES, self.client, None, None)
        if error is not None:
            self.conn.close(error)
        self.flush()
        for outlet in self.outlets.values():
            outlet.cycle.disconnected = True
            outlet.cycle.message_event.set()
            outlet.wake()
        self.transport.close()

    # Streams

    def handle_request(self, event: zttp.Request) -> None:
        """Start the application."""
        number = event.stream_id
        if not event.target.isascii():
            # uvicorn takes it for granted; elsewhere such a target is refused by the parser.
            self._answer(self.conn.stream(number), refusals.BAD_TARGET)
            return
        super().handle_request(event)
        self.count += 1
        cycle = self.cycles[number]
        outlet = StreamOutlet(cycle.stream, self.flow, cycle, self.limits)
        self.outlets[number] = outlet
        # It has not been started yet.
        cycle.stream = outlet  # type: ignore[assignment] # does what a stream does
        cycle.flow = outlet  # type: ignore[assignment] # and what waiting needs
        cycle.scope[STOPPING_SCOPE_KEY] = self.stopping  # type: ignore[typeddict-unknown-key]
        if event.end_stream:
            cycle.more_body = False
            cycle.message_event.set()
        else:
            self.scanner.received[number] = 0
        if self.count >= MAX_REQUESTS:
            self.leave()

    def on_stream_closed(self) -> None:
        """Go on without a stream."""
        self._forget_ended()
        super().on_stream_closed()

    def _forget_ended(self) -> None:
        ended = [
            number
            for number, outlet in self.outlets.items()
            if number not in self.cycles and not outlet.pending
        ]
        for number in ended:
            del self.outlets[number]
            self.scanner.received.pop(number, None)
        if ended and self.is_leaving and not self.outlets:
            self.loop.call_later(NEXT_REQUEST_SECONDS, self._close_if_idle)

    def _watch_streams(self) -> None:
        for number, outlet in tuple(self.outlets.items()):
            cycle, pending = outlet.cycle, outlet.pending
            if outlet.stall.is_stalled(outlet.written - pending, is_due=pending > 0):
                self._cut(number, outlet, None)
            elif number in self.cycles and outlet.body.is_stalled(
                self.scanner.received.get(number, 0),
                is_due=cycle.more_body and not self.flow.read_paused,
            ):
                self._cut(number, outlet, refusals.SLOW_BODY)

    def _cut(self, number: int, outlet: StreamOutlet, refusal: Refusal | None) -> None:
        """End a stream whose client is too slow."""
        cycle = outlet.cycle
        cycle.disconnected = True
        cycle.message_event.set()
        if refusal is not None and not cycle.response_started:
            self._answer(outlet.stream, refusal)
            outlet.stream.reset(_NO_ERROR)
            self.flush()
        else:
            outlet.stream.reset(_CANCEL)
            self.flush()
        outlet.wake()
        self.cycles.pop(number, None)
        self.on_stream_closed()

    def _answer(self, stream: zttp.Stream, refusal: Refusal) -> None:
        """Answer in place of the application; what still comes on the stream is not wanted."""
        record_refusal(refusal, self.client, None, None)
        body = f"{refusal.reason}\n".encode("ascii")
        fields = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(body)),
        ]
        stream.send_response(refusal.status, [*self.server_state.default_headers, *fields])
        stream.send_data(body)
        stream.end_message()
        self.flush()

    # Ends

    def _close_connection(self) -> None:
        if self.conn.has_pending_send():
            self.leave()
        else:
            super()._close_connection()

    def _close_if_idle(self) -> None:
        if not self.outlets and not self.scanner.is_within:
            self._close_connection()


def _never() -> bool:
    """A client of HTTP/2 may always send something."""
    return False
