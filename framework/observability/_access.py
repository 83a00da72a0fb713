"""The access line, which is written for every request and so without the detour of other lines."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from framework.observability._limits import MAX_LOGGED_PATH_CHARACTERS
from framework.observability._render import end_line
from framework.observability._sink import LineSink
from framework.observability._storms import StormGate
from framework.observability.context import RequestContext, has_bound_fields
from framework.observability.process import log_fields

LOGGER: Final = "framework.access"
EVENT: Final = "request"

_encode: Final = msgspec.json.Encoder().encode


class _Line(msgspec.Struct, gc=False):
    """One request; the fields stand in the line in this order."""

    timestamp: datetime
    level: str
    logger: str
    event: str
    method: str
    path: str
    route: str
    status: int
    duration_ms: float
    ttfb_ms: float | None
    bytes: int
    client: str | None
    request_id: str
    trace_id: str
    span_id: str
    worker_slot: int | msgspec.UnsetType
    pid: int


# What the others add to any line.
_OWN_FIELDS: Final = tuple(
    name
    for name in _Line.__struct_fields__
    if name not in {"timestamp", "level", "logger", "event", "worker_slot", "pid"}
)


class AccessLog:
    """Writes access lines; there is one, and `configure_logging` sets it up."""

    __slots__ = ("_fallback", "_level", "_sink", "refusals")

    def __init__(self) -> None:
        self._sink: LineSink | None = None
        self._level = logging.INFO
        self._fallback: Any = structlog.get_logger(LOGGER)
        self.refusals = StormGate(self._write_suppressed)

    def configure(self, sink: LineSink | None, level: str) -> None:
        """Write JSON to this sink; None: the lines go the way of all others."""
        self._sink = sink
        self._level = logging.getLevelNamesMapping()[level]
        # Loggers keep the level of their first use.
        self._fallback = structlog.get_logger(LOGGER)

    def write(
        self,
        context: RequestContext,
        *,
        method: str,
        path: str,
        route: str,
        status: int,
        duration: float,
        first_byte: float | None,
        sent_bytes: int,
        client: str | None,
        is_quiet: bool = False,
    ) -> None:
        """Write the line of a request; times are in seconds. A quiet one is of level debug."""
        if (logging.DEBUG if is_quiet else logging.INFO) < self._level:
            return
        process = log_fields()
        # PERF: by position, which takes half the time; the order is that of the fields of `_Line`.
        line = _Line(
            datetime.now(UTC),
            "debug" if is_quiet else "info",
            LOGGER,
            EVENT,
            method,
            path[:MAX_LOGGED_PATH_CHARACTERS],
            route,
            status,
            round(duration * 1000, 3),
            None if first_byte is None else round(first_byte * 1000, 3),
            sent_bytes,
            client,
            context.request_id,
            context.trace_id,
            context.span_id,
            process.get("worker_slot", msgspec.UNSET),
            process["pid"],
        )
        if self._sink is not None and not has_bound_fields():
            # PERF: straight to bytes, a fifth of what a dictionary takes on its way through structlog.
            try:
                data = _encode(line)
            except Exception:  # noqa: S110 -- such as lone surrogates; the long way can show them
                pass
            else:
                self._sink.write(end_line(data))
                return
        fields = {name: getattr(line, name) for name in _OWN_FIELDS}
        (self._fallback.debug if is_quiet else self._fallback.info)(EVENT, **fields)

    def write_refusal(
        self,
        *,
        method: str | None,
        path: str | None,
        route: str,
        status: int,
        sent_bytes: int,
        client: str | None,
        reason: str,
    ) -> None:
        """Write the line of a request that the server refused; of a flood a few and their number.

        The application has not seen it, so it has no route, no times and ids that nobody else knows.
        """
        if not self.refusals.admit("info", LOGGER, reason):
            return
        ids = RequestContext(())
        self._fallback.info(
            EVENT,
            method=method,
            path=None if path is None else path[:MAX_LOGGED_PATH_CHARACTERS],
            route=route,
            status=status,
            duration_ms=None,
            ttfb_ms=None,
            bytes=sent_bytes,
            client=client,
            request_id=ids.request_id,
            trace_id=ids.trace_id,
            span_id=ids.span_id,
            reason=reason,
        )

    def _write_suppressed(self, level: str, logger: str, reason: str, fields: Any) -> None:
        self._fallback.info(EVENT, reason=reason, **fields)


access_lines: Final = AccessLog()
