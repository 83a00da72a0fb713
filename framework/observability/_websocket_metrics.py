"""Counts and times WebSocket connections by route template."""

from __future__ import annotations

from time import perf_counter
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry

from framework.observability._instruments import Counter, Gauge, Histogram
from framework.observability._limits import CONNECTION_BUCKETS_SECONDS

__all__ = ["ConnectionMetrics", "WebSocketMetrics"]

# RFC 6455, section 7.4. A client may send any number up to 4999: a label never comes from it.
_CODES: Final = frozenset(range(1000, 1016))
_ACCEPTED: Final = 101
_CLIENT_CLOSED: Final = 499


class WebSocketMetrics:
    """Counts and times WebSocket connections by route template.

    `websocket_connections` (open ones), `websocket_handshakes_total` by status, 101 for accepted ones,
    `websocket_messages_total` by direction (`received`, `sent`), `websocket_closes_total` by code
    (1000 to 1015, `3xxx`, `4xxx`, `other`, and `none`), `websocket_connection_duration_seconds` (histogram).
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._open = Gauge(
            "websocket_connections",
            "WebSocket connections that are open.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._handshakes = Counter(
            "websocket_handshakes_total",
            "WebSocket handshakes answered; 101 was accepted.",
            ("route", "status"),
            registry=registry,
        )
        self._messages = Counter(
            "websocket_messages_total",
            "WebSocket messages.",
            ("route", "direction"),
            registry=registry,
        )
        self._closes = Counter(
            "websocket_closes_total",
            "WebSocket connections that were accepted and have ended, by close code.",
            ("route", "code"),
            registry=registry,
        )
        self._durations = Histogram(
            "websocket_connection_duration_seconds",
            "Seconds between accepting a WebSocket connection and its end.",
            ("route",),
            buckets=CONNECTION_BUCKETS_SECONDS,
            registry=registry,
        )

    def reset(self) -> None:
        """Begin with no connection."""
        self._open.set(0)

    def count_handshake(self, route: str, status: int) -> None:
        """Count a handshake that was answered with a status, 101 when it was accepted."""
        self._handshakes.labels(route, status).inc()

    def open(self, route: str) -> tuple[Counter, Counter]:
        """Count a connection that begins; return what counts received and sent messages."""
        self._open.inc()
        return self._messages.labels(route, "received"), self._messages.labels(route, "sent")

    def close(self, route: str, code: int | None, seconds: float) -> None:
        """Count the end of a connection that was accepted."""
        self._open.dec()
        self._closes.labels(route, _describe(code)).inc()
        self._durations.labels(route).observe(seconds)


class ConnectionMetrics:
    """Counts what happens on one connection."""

    __slots__ = ("_accepted_at", "_metrics", "_received", "_sent")

    def __init__(self, metrics: WebSocketMetrics) -> None:
        self._metrics = metrics
        self._accepted_at = 0.0
        self._received: Counter | None = None
        self._sent: Counter | None = None

    def accept(self, route: str) -> None:
        """Count a connection that begins."""
        if self._sent is None:
            self._accepted_at = perf_counter()
            self._metrics.count_handshake(route, _ACCEPTED)
            self._received, self._sent = self._metrics.open(route)

    def count_received(self) -> None:
        """Count a message of the client."""
        if self._received is not None:
            self._received.inc()

    def count_sent(self) -> None:
        """Count a message to the client."""
        if self._sent is not None:
            self._sent.inc()

    def close(self, route: str, status: int | None, code: int | None) -> None:
        """Count the end of a connection, or a handshake that was not accepted.

        Args:
            route: its template.
            status: what the handshake was answered with; None: the client was gone before.
            code: the close code; None: the connection was lost without one.
        """
        if self._sent is not None:
            self._metrics.close(route, code, perf_counter() - self._accepted_at)
        else:
            self._metrics.count_handshake(route, status or _CLIENT_CLOSED)


def _describe(code: int | None) -> str:
    if code is None:
        return "none"
    if code in _CODES:
        return str(code)
    return f"{code // 1000}xxx" if 3000 <= code < 5000 else "other"
