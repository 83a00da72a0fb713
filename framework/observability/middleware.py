"""`ObservabilityMiddleware`: a request id, one access line and the metrics of every request."""

from __future__ import annotations

from collections.abc import Awaitable, Collection
from time import perf_counter
from typing import Final

from framework.background import observe_background_tasks
from framework.exceptions import ClientDisconnect, WebSocketDisconnect
from framework.observability._access import access_lines
from framework.observability._limits import MAX_LOGGED_PATH_CHARACTERS
from framework.observability._messages import add_request_id, find_route_template
from framework.observability._tracebacks import forget_traceback, is_reported_for, mark_reported
from framework.observability._websocket_connection import WebSocketConnection
from framework.observability.background import BackgroundReporter
from framework.observability.context import (
    REQUEST_CONTEXT_SCOPE_KEY,
    REQUEST_ID_SCOPE_KEY,
    begin_request_context,
)
from framework.observability.logging import get_logger
from framework.observability.metrics import HttpMetrics, http_metrics
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ObservabilityMiddleware"]

CLIENT_CLOSED_REQUEST: Final = 499
"""The client went away before the response was complete; nginx introduced the number."""

# The group is one that has such a thing in it.
_ENDS_OF_PROCESS: Final = (SystemExit, KeyboardInterrupt, BaseExceptionGroup)

_ERROR_HEADERS: Final = (
    (b"content-type", b"text/plain; charset=utf-8"),
    (b"content-length", b"21"),
    (b"connection", b"close"),
)
_ERROR_BODY: Final = b"Internal Server Error"


class ObservabilityMiddleware:
    """Wraps a whole application, so that it sees the final status of every request.

    Each request gets an id: the client's `X-Request-ID` when it is well formed, else a new one. It is
    on the response, in `scope["framework.request_id"]` and in every log line of the request. When the
    response is complete one line is logged: event `request` with method, path (without the query,
    which may hold secrets), route template, status, duration, time until the response began, bytes of
    the body, client, request id, trace id and span id. A client that went away first is logged and
    counted with status 499.

    An exception that nobody handled is logged once, as the event `unhandled exception`. When no
    response was started the client gets a plain 500. It is raised again only when a response was
    begun and cannot be completed, so that the server closes the connection.

    A WebSocket connection gets an id and one line, `websocket`, with its close code.

    While the lifespan runs, background tasks are counted and timed, and each failure is logged once,
    as the event `background task failed`. The threads of `framework.concurrency` are measured.

    Args:
        app: the application.
        access_log: write the `request` and `websocket` lines.
        metrics: count and time requests, and measure the worker; an `HttpMetrics` of one's own.
        quiet_paths: their lines are written at level debug unless the status is 500 or more.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access_log: bool = True,
        metrics: bool | HttpMetrics = True,
        quiet_paths: Collection[str] = (),
    ) -> None:
        self.app = app
        self.metrics = http_metrics() if metrics is True else metrics or None
        self.quiet_paths = frozenset(quiet_paths)
        self.access = get_logger("framework.access") if access_log else None
        self.errors = get_logger("framework.errors")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        kind = scope["type"]
        if kind == "http":
            exchange = _HttpExchange(self, scope, receive, send)
            try:
                await self.app(scope, exchange.receive, exchange)
            except Exception as exc:
                await exchange.fail(exc)
            except BaseException as exc:
                exchange.break_off(exc)
                raise
            else:
                exchange.close()
        elif kind == "websocket":
            await self._observe_websocket(scope, receive, send)
        elif kind == "lifespan":
            await self._observe_lifespan(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _observe_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics = self.metrics
        reporter = BackgroundReporter(None if metrics is None else metrics.background)
        with observe_background_tasks(reporter):
            if metrics is not None:
                metrics.publish_parts(self.app)
                metrics.start_worker()
            try:
                await self.app(scope, receive, send)
            finally:
                if metrics is not None:
                    metrics.stop_worker()

    async def _observe_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        metrics = None if self.metrics is None else self.metrics.websockets
        connection = WebSocketConnection(metrics, self.access, scope, receive, send)
        try:
            await self.app(scope, connection.receive, connection)
        except WebSocketDisconnect:
            return  # the peer closed while the application waited for a message: no fault
        except Exception as exc:
            self.report(exc, scope)
            connection.fail()
            raise  # the server closes the connection, with 1011 or a 500 to the handshake
        finally:
            connection.close()

    def report(self, exc: BaseException, scope: Scope) -> None:
        """Log an exception with the context of its request, unless its background task has."""
        if is_reported_for(exc, scope[REQUEST_ID_SCOPE_KEY]):
            mark_reported(exc)  # a group of them, too
            return
        if self.metrics is not None:
            self.metrics.count_exception(exc)
        self.errors.error(
            "unhandled exception",
            method=scope.get("method"),
            path=scope["path"][:MAX_LOGGED_PATH_CHARACTERS],
            route=find_route_template(scope),
            exc_info=exc,
        )
        mark_reported(exc)


class _HttpExchange:
    """One request and its response; the instance is the `send` of the application."""

    __slots__ = (
        "begun_at",
        "context",
        "first_byte",
        "is_complete",
        "is_disconnected",
        "is_finished",
        "length",
        "observer",
        "received_bytes",
        "route",
        "scope",
        "seconds",
        "sent_bytes",
        "server_receive",
        "server_send",
        "status",
    )

    def __init__(
        self, observer: ObservabilityMiddleware, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self.begun_at = perf_counter()
        self.observer = observer
        self.scope = scope
        self.server_receive = receive
        self.server_send = send
        self.status = 0
        self.received_bytes = 0
        self.sent_bytes = 0
        self.first_byte: float | None = None
        self.length: bytes | None = None
        self.route = ""
        self.seconds: float | None = None
        self.is_complete = False
        self.is_disconnected = False
        self.is_finished = False
        self.context = context = begin_request_context(scope["headers"])
        scope[REQUEST_CONTEXT_SCOPE_KEY] = context
        scope[REQUEST_ID_SCOPE_KEY] = context.request_id
        if observer.metrics is not None:
            observer.metrics.begin()

    # PERF: hands the server's awaitable through instead of awaiting it: no frame for each message.
    # Only the last message has one, because the line is written after it.
    def __call__(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
            if message.get("more_body", False):
                return self.server_send(message)
            return self._send_last(message)
        if kind == "http.response.start":
            self.status = message["status"]
            self.first_byte = perf_counter() - self.begun_at
            for name, value in message.get("headers", ()):
                if name == b"content-length":
                    self.length = value
                    break
            message = add_request_id(message, self.context.request_id)
            return self.server_send(message)
        if kind == "http.response.pathsend":
            return self._send_last(message)
        return self.server_send(message)

    async def receive(self) -> Message:
        message = await self.server_receive()
        if message["type"] == "http.request":
            self.received_bytes += len(message.get("body", b""))
        elif message["type"] == "http.disconnect" and not self.is_complete:
            self.is_disconnected = True
        return message

    async def _send_last(self, message: Message) -> None:
        self.is_complete = True
        if self._is_whole(message) and not self._has_lost_client():
            # Counted first: no kill can lose the count of an answer that its client has.
            self._count(self.status)
            await self.server_send(message)
            self._finish(self.status)
            return
        await self.server_send(message)
        # With the client gone it depends on why: see `close` and `fail`, which come next.
        if not self.is_finished and not self._has_lost_client():
            self._finish(self.status)

    def _is_whole(self, message: Message) -> bool:
        """Say whether this is all of the body, as long as announced: then nothing is waited for."""
        size = len(message.get("body", b""))
        if size != self.sent_bytes or "path" in message:
            return False
        return self.length is None or self.length == b"%d" % size

    async def fail(self, exc: Exception) -> None:
        """Deal with an exception that nobody else has handled."""
        is_lost = self._has_lost_client()
        if isinstance(exc, ClientDisconnect) or (is_lost and isinstance(exc, OSError)):
            if not self.is_finished:
                self._finish(CLIENT_CLOSED_REQUEST)
            return
        self.observer.report(exc, self.scope)
        if self.status and not self.is_finished and not is_lost:
            self._finish(500)
            raise exc
        forget_traceback(exc)
        if self.is_finished:
            return  # the response is complete: what failed came after it
        if is_lost:
            self._finish(500)  # a fault of ours stays one, whether the client waited or not
            return
        await self({"type": "http.response.start", "status": 500, "headers": _ERROR_HEADERS})
        await self({"type": "http.response.body", "body": _ERROR_BODY})

    def break_off(self, exc: BaseException) -> None:
        """Account for a request whose task was cancelled: the client or the server has given up.

        Or the application has asked to end the process, which a worker does not: it answers 500.
        """
        is_fault = isinstance(exc, _ENDS_OF_PROCESS)
        if is_fault:
            self.observer.report(exc, self.scope)
        if not self.is_finished:
            status = CLIENT_CLOSED_REQUEST if self._has_lost_client() else 503
            self._finish(500 if is_fault else status)

    def close(self) -> None:
        """Account for a request that ended without an exception and without a complete response."""
        if self.is_finished:
            return
        if self._has_lost_client():
            self._finish(max(self.status, CLIENT_CLOSED_REQUEST))  # a 503 stays one
        else:
            self._finish(500)

    def _has_lost_client(self) -> bool:
        # ASGI tells an application that never calls receive() nothing about its client. uvicorn
        # knows: `send` is a method of its request object, which has the answer.
        if self.is_disconnected:
            return True
        server_object = getattr(self.server_send, "__self__", None)
        return getattr(server_object, "disconnected", False) is True

    def _count(self, status: int) -> None:
        self.seconds = perf_counter() - self.begun_at
        self.route = find_route_template(self.scope)
        metrics = self.observer.metrics
        if metrics is not None:
            method = self.scope["method"]
            sent_bytes = self._find_sent_bytes(method)
            metrics.end(method, self.route, status, self.seconds, self.received_bytes, sent_bytes)

    def _find_sent_bytes(self, method: str) -> int:
        return self.sent_bytes if method != "HEAD" else 0

    def _finish(self, status: int) -> None:
        self.is_finished = True
        if status == CLIENT_CLOSED_REQUEST:
            # Unless it was the server that gave up: then the client has its answer.
            server_object = getattr(self.server_send, "__self__", None)
            status = getattr(server_object, "refused_with", None) or status
        if self.seconds is None:
            self._count(status)
        observer = self.observer
        if observer.access is not None:
            scope = self.scope
            method, path = scope["method"], scope["path"]
            client = scope.get("client")
            access_lines.write(
                self.context,
                method=method,
                path=path,
                route=self.route,
                status=status,
                duration=self.seconds or 0.0,
                first_byte=self.first_byte,
                sent_bytes=self._find_sent_bytes(method),
                client=client[0] if client else None,
                is_quiet=path in observer.quiet_paths and status < 500,
            )
