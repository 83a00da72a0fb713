"""One WebSocket connection, observed."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from structlog.typing import FilteringBoundLogger

from framework.observability._limits import MAX_LOGGED_PATH_CHARACTERS
from framework.observability._messages import add_request_id, find_route_template
from framework.observability._websocket_metrics import ConnectionMetrics, WebSocketMetrics
from framework.observability.context import (
    REQUEST_CONTEXT_SCOPE_KEY,
    REQUEST_ID_SCOPE_KEY,
    begin_request_context,
)
from framework.types import Message, Receive, Scope, Send

__all__ = ["WebSocketConnection"]


class WebSocketConnection:
    """One WebSocket connection; the instance is the `send` of the application."""

    __slots__ = (
        "begun_at",
        "code",
        "context",
        "logger",
        "metrics",
        "scope",
        "server_receive",
        "server_send",
        "status",
    )

    def __init__(
        self,
        metrics: WebSocketMetrics | None,
        logger: FilteringBoundLogger | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self.begun_at = perf_counter()
        self.logger = logger
        self.scope = scope
        self.server_receive = receive
        self.server_send = send
        self.code: int | None = None
        self.status: int | None = None
        self.metrics = None if metrics is None else ConnectionMetrics(metrics)
        self.context = context = begin_request_context(scope["headers"])
        scope[REQUEST_CONTEXT_SCOPE_KEY] = context
        scope[REQUEST_ID_SCOPE_KEY] = context.request_id

    def __call__(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == "websocket.send":
            if self.metrics is not None:
                self.metrics.count_sent()
        elif kind == "websocket.accept":
            self.status = 101
            if self.metrics is not None:
                self.metrics.accept(find_route_template(self.scope))
            message = add_request_id(message, self.context.request_id)
        elif kind == "websocket.close":
            if self.status is None:
                self.status = 403  # closed before it was accepted: the handshake is refused
            if self.code is None:
                self.code = message.get("code", 1000)
        elif kind == "websocket.http.response.start":
            self.status = message["status"]
            message = add_request_id(message, self.context.request_id)
        return self.server_send(message)

    async def receive(self) -> Message:
        message = await self.server_receive()
        if message["type"] == "websocket.receive":
            if self.metrics is not None:
                self.metrics.count_received()
        elif message["type"] == "websocket.disconnect" and self.code is None:
            self.code = message.get("code", 1005)
        return message

    def fail(self) -> None:
        """Note what the server answers to an exception."""
        if self.status is None:
            self.status = 500
        elif self.code is None:
            self.code = 1011

    def close(self) -> None:
        """Count the connection and write its line."""
        if self.metrics is not None:
            self.metrics.close(find_route_template(self.scope), self.status, self.code)
        if self.logger is None:
            return
        scope = self.scope
        client = scope.get("client")
        self.logger.info(
            "websocket",
            path=scope["path"][:MAX_LOGGED_PATH_CHARACTERS],
            route=find_route_template(scope),
            status=self.status,
            code=self.code,
            duration_ms=round((perf_counter() - self.begun_at) * 1000, 3),
            client=client[0] if client else None,
        )
