"""`HardenedHttpProtocol`: uvicorn's HTTP/1.1 protocol with limits, deadlines and orderly ends."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from framework.observability.health import readiness
from framework.responses.sse import STOPPING_SCOPE_KEY
from framework.server.forwarded import ForwardedMiddleware
from framework.server.http import refusals
from framework.server.http.cycle import RequestCycle
from framework.server.http.fields import default_fields
from framework.server.http.head import HTTP_1_0, answer_server_options, build_head
from framework.server.http.limits import HttpLimits
from framework.server.http.reader import BODY, HEAD, IDLE, RequestHead, RequestReader
from framework.server.http.refusals import Refusal, RefusedError, record_refusal
from framework.server.http.stall import StallWatch, count_untaken
from framework.types import ASGIApp

__all__ = [
    "FIRST_REQUEST_SECONDS",
    "NEXT_REQUEST_SECONDS",
    "HardenedHttpProtocol",
    "find_stopping",
]

FIRST_REQUEST_SECONDS: Final = 1.0
"""At a stop: how long a request that is on its way may take to arrive, on a connection that had none."""

NEXT_REQUEST_SECONDS: Final = 0.05
"""The same, on a connection that has had one."""

# Ours in a gunicorn worker, uvicorn's own elsewhere.
_FORWARDING: Final = (ForwardedMiddleware, ProxyHeadersMiddleware)


class HardenedHttpProtocol(HttpToolsProtocol):
    """One client connection.

    What is no acceptable request is answered with a `Refusal`, in its turn, and ends the connection.
    Deadlines are counted by `on_second`, which the server calls: there is no timer that could keep a
    lost connection in memory.

    Args:
        config: uvicorn's configuration, with the application.
        server_state: what all connections of the server share.
        app_state: the state of the lifespan.
        limits: what a client may send, and how long it may take.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: HttpLimits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser = None  # type: ignore[assignment] # the reader has one
        self.limits = limits
        self.reader = RequestReader(limits, self)
        app: Any = config.loaded_app
        self.forwarded_app: Any = app
        # PERF: without X-Forwarded-* there is nothing for that middleware to do.
        self.direct_app: Any = app.app if isinstance(app, _FORWARDING) else app
        self.written = 0
        """Bytes given to the transport."""
        self.stall = StallWatch(limits.stalled_seconds, limits.read_rate)
        self.is_stopping = False
        self.stopping = find_stopping(server_state)
        # After the last request; what still comes is thrown away.
        self.is_over = False
        self.discarded_bytes = 0
        self.last_words: Refusal | None = None
        # The exchange whose body is read, the one whose application runs, and those between them.
        self.latest: RequestCycle | None = None
        self.running: RequestCycle | None = None
        self.waiting: deque[tuple[RequestCycle, ASGIApp]] = deque()

    @property
    def default_lines(self) -> bytes:
        """The fields that the server puts on every response, as lines."""
        return default_fields.encode(self.server_state.default_headers)

    # The connection

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        if self.is_over:
            self._discard(len(data))
            return
        try:
            self.reader.feed(data)
        except RefusedError as exc:
            if self._has_last_request():
                self.is_over = True
            else:
                self.refuse(exc.refusal)

    def eof_received(self) -> None:
        """Let the transport close: a client that sends nothing more is taken to be gone."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the applications that their client is gone."""
        self.connections.discard(self)
        for cycle in (self.running, self.latest):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.wake()
        self.running = self.latest = None
        self.waiting.clear()
        self.flow.resume_writing()
        self.is_over = True
        self.reader.close()

    def shutdown(self) -> None:
        """Take no more requests than the one that may be on its way, and close."""
        self.is_stopping = True
        self.stopping.set()
        if self.running is not None and self.latest is not None:
            self.latest.keep_alive = False
            return
        self.latest = None
        if self.reader.stage == IDLE:
            self._close_later()

    def on_second(self) -> None:
        """Count a second, and end what takes too long."""
        transport, reader, limits = self.transport, self.reader, self.limits
        if transport.is_closing():
            return
        untaken = count_untaken(transport)
        if self.stall.is_stalled(self.written - untaken, is_due=untaken > 0):
            transport.abort()
            return
        if self.flow.read_paused:
            return
        reader.seconds += 1
        if self.is_over:
            if self.running is None and reader.seconds > limits.linger_seconds:
                transport.close()
        elif reader.stage == HEAD:
            if reader.seconds > limits.header_seconds:
                self.refuse(refusals.SLOW_HEADER)
        elif reader.stage == BODY:
            if self._is_waited_for():
                reader.seconds = 0
            elif reader.is_body_slow():
                self.refuse(refusals.SLOW_BODY)
        elif self.running is None:
            patience = self.timeout_keep_alive if reader.count else limits.first_byte_seconds
            if reader.seconds > patience:
                transport.close()

    def _is_waited_for(self) -> bool:
        """Say whether the client waits for a sign before it sends the body."""
        return self.latest is not None and self.latest.expects_continue

    # What the reader finds

    def begin_request(self, head: RequestHead) -> None:
        """Start the application, or let the request wait for those before it."""
        if self.latest is not None and not self.latest.keep_alive:
            raise RefusedError(refusals.BAD_REQUEST)
        if len(self.waiting) >= self.limits.pipelined_requests:
            raise RefusedError(refusals.PIPELINE_FULL)
        watched = head.watched
        app = self.direct_app
        expects_continue = False
        if len(watched) > 1:
            if b"x-forwarded-for" in watched or b"x-forwarded-proto" in watched:
                app = self.forwarded_app
            expects_continue = watched.get(b"expect", b"").lower() == b"100-continue"
        if head.raw_path == b"*":
            app = answer_server_options
        root_path, path, raw_path = self.root_path, head.path, head.raw_path
        if root_path:
            path, raw_path = root_path + path, root_path.encode("ascii") + raw_path
        scope = {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": head.version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": head.method.decode("ascii"),
            "root_path": root_path,
            "path": path,
            "raw_path": raw_path,
            "query_string": head.query,
            "headers": head.fields,
            "state": self.app_state.copy(),
            STOPPING_SCOPE_KEY: self.stopping,
        }
        # In the drain before a stop, clients with an open connection are asked to move on.
        is_last = self.is_stopping or readiness.state == "draining"
        cycle = RequestCycle(
            self,
            scope,
            keep_alive=head.keep_alive and not is_last,
            # RFC 9110 section 10.1.1: a client of HTTP/1.0 takes 100 for the answer.
            expects_continue=expects_continue and head.version != HTTP_1_0,
        )
        self.latest = cycle
        self.discarded_bytes = 0
        if self.running is None:
            self._start(cycle, app)
        else:
            self.flow.pause_reading()
            self.waiting.append((cycle, app))

    def add_body(self, data: bytes) -> None:
        """Keep a part of the body for the application, if it wants it."""
        cycle = self.latest
        if cycle is None or cycle.response_complete:
            self._discard(len(data))
        elif cycle.add_body(data) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def end_request(self) -> None:
        """Tell the application that it has the whole body."""
        cycle = self.latest
        if cycle is not None:
            cycle.more_body = False
            cycle.wake()
        if self.is_stopping and self.running is None:
            # It was answered before it had come as a whole.
            self._close_later()

    def leave_http(self, head: RequestHead, rest: bytes) -> None:
        """Hand the connection to uvicorn's WebSocket protocol, which reads the handshake again."""
        protocol_class: Any = self.ws_protocol_class
        if protocol_class is None or self.running is not None:
            raise RefusedError(refusals.BAD_UPGRADE)
        self.connections.discard(self)
        protocol = protocol_class(
            config=self.config,
            server_state=self.server_state,
            app_state=self.app_state,
        )
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        if self.flow.write_paused:
            # The transport says so once: the client has yet to take what was answered before.
            protocol.pause_writing()
        self.reader.close()
        handshake = build_head(head.method, head.target, head.fields)
        protocol.data_received(handshake + rest)
        if self.is_stopping:
            # The server has told all connections to end, and knew nothing of this one.
            protocol.shutdown()

    # Exchanges

    def _start(self, cycle: RequestCycle, app: ASGIApp) -> None:
        self.running = cycle
        # A context of its own: nothing of one request is seen by the next on its connection.
        task = self.loop.create_task(cycle.run(app), context=contextvars.Context())
        cycle.task = task
        self.tasks.add(task)

    def on_cycle_complete(self, cycle: RequestCycle) -> None:
        """Go on with the next request, or wait for it, or end the connection."""
        self.server_state.total_requests += 1
        self.reader.seconds = 0
        self.running = None
        if self.transport.is_closing():
            return
        if not cycle.keep_alive:
            self._close_in_order()
            return
        self.flow.resume_reading()
        if self.waiting:
            self._start(*self.waiting.popleft())
        elif self.last_words is not None:
            self._say_last_words(self.last_words)

    def on_cycle_ended(self, cycle: RequestCycle) -> None:
        """Forget the task of an exchange."""
        if cycle.task is not None:
            self.tasks.discard(cycle.task)
            cycle.task = None

    # Ends

    def refuse(self, refusal: Refusal) -> None:
        """Answer the request that is being read with an error, after those before it."""
        self.is_over = True
        cycle = self.latest
        line: tuple[str | None, str | None] | None = self.reader.find_request_line()
        if self.reader.stage == BODY and cycle is not None:
            if self.waiting:
                self.waiting.pop()
                line = cycle.scope["method"], cycle.scope["path"]
            else:
                # The access line of a request that the application has is written around that.
                cycle.disconnected = True
                cycle.refused_with = refusal.status
                cycle.wake()
                self.running = None
                line = None
                if cycle.response_started:
                    self._close_in_order()
                    return
        if line is not None:
            record_refusal(refusal, self.client, *line)
        if self.running is None:
            self._say_last_words(refusal)
        else:
            self.last_words = refusal

    def _say_last_words(self, refusal: Refusal) -> None:
        self.transport.write(refusal.build(self.default_lines))
        self.is_over = True
        self._close_in_order()

    def _close_in_order(self) -> None:
        """Close, but let the client read the answer first.

        A socket that is closed while something unread has arrived is reset, and what was sent last may
        never be seen (RFC 9112 section 9.6).
        """
        transport = self.transport
        is_all_read = self.reader.stage == IDLE and not (self.is_over or self.flow.read_paused)
        if is_all_read or transport.is_closing() or not transport.can_write_eof():
            transport.close()
            return
        self.is_over = True
        self.reader.seconds = 0
        self.flow.resume_reading()
        transport.write_eof()

    def _discard(self, size: int) -> None:
        self.discarded_bytes += size
        if self.discarded_bytes > self.limits.discarded_body:
            self.transport.close()

    def _has_last_request(self) -> bool:
        """Say whether the last request of the connection is complete: what follows does not count."""
        return self.latest is not None and not self.latest.keep_alive and not self.latest.more_body

    def _close_later(self) -> None:
        delay = NEXT_REQUEST_SECONDS if self.reader.count else FIRST_REQUEST_SECONDS
        self.loop.call_later(delay, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if self.running is None and self.reader.stage == IDLE:
            self.transport.close()


def find_stopping(server_state: ServerState) -> asyncio.Event:
    """Return the event that all connections of a server share: it is set when they are to end."""
    state: Any = server_state
    stopping: asyncio.Event | None = getattr(state, "stopping", None)
    if stopping is None:
        stopping = state.stopping = asyncio.Event()
    return stopping
