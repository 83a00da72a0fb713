"""One stream and one shape for every log line of the process: structlog's and the standard library's.

JSON lines are meant for a collector, aligned text for a person at a terminal. Each line has
`timestamp` (ISO 8601, UTC), `level`, `logger` and `event`, then what was bound to the context (such as
`request_id`) and the fields of the event, then `worker_slot` and `pid`.
"""

from __future__ import annotations

import atexit
import functools
import logging
import os
import sys
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final, Literal, TextIO

import structlog
from structlog import DropEvent

from framework.observability._access import access_lines
from framework.observability._redaction import add_secret_names
from framework.observability._render import ConsoleRenderer, JSONRenderer, Renderer
from framework.observability._sink import LineSink, NamedOutput
from framework.observability._storms import StormGate
from framework.observability._tracebacks import is_reported, safe_text
from framework.observability.context import merge_context

__all__ = [
    "LOG_FORMATS",
    "LOG_LEVELS",
    "LogFormat",
    "configure_logging",
    "count_dropped_lines",
    "get_logger",
]

LogFormat = Literal["json", "console", "auto"]

LOG_FORMATS: Final = ("auto", "json", "console")
LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

# Servers give these handlers and levels of their own; here they only pass on.
_SERVER_LOGGERS: Final = (
    "gunicorn.access",
    "gunicorn.error",
    "uvicorn",
    "uvicorn.access",
    "uvicorn.asgi",
    "uvicorn.error",
)
_SERVER_PREFIXES: Final = ("asyncio", "gunicorn", "uvicorn")

# Attributes of every LogRecord; whatever else a record has came from `extra`. The last one is
# uvicorn's copy of its message with colours.
_RECORD_ATTRIBUTES: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
)

# Loggers are cached on first use and keep these two objects, so both are changed in place.
_sink: Final = LineSink()
_processors: Final[list[Any]] = []
_gate: Final = StormGate(lambda *_: None)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_sink.reset)
    os.register_at_fork(after_in_child=_gate.reset)
    os.register_at_fork(after_in_child=access_lines.refusals.reset)
# The last first: what the gate says is written before the sink waits for its reader.
atexit.register(_sink.flush)
atexit.register(_gate.flush)
atexit.register(access_lines.refusals.flush)


def configure_logging(
    *,
    level: str = "INFO",
    format: LogFormat = "auto",
    stream: TextIO | None = None,
    secret_names: Iterable[str] = (),
) -> None:
    """Send every log line of the process to `stream` in one shape. May be called again.

    Loggers that were used before keep the level they had then.

    Args:
        level: the lowest level that is written, one of `LOG_LEVELS` in any case.
        format: `json`, `console`, or `auto`: console on a terminal, else JSON.
        stream: the standard output of the process when not given.
        secret_names: fields, header fields and query keys whose values are hidden besides those that
            are hidden in any case, such as `iban`.

    Raises:
        ValueError: the level or the format is not a known one.
    """
    if level.upper() not in LOG_LEVELS:
        raise ValueError(f"log level {level!r} is unknown; use one of {', '.join(LOG_LEVELS)}")
    if format not in LOG_FORMATS:
        raise ValueError(f"log format {format!r} is unknown; use one of {', '.join(LOG_FORMATS)}")
    target = sys.stdout if stream is None else stream
    renderer = _choose_renderer(format, is_terminal=target.isatty())
    add_secret_names(secret_names)
    _sink.describe_drops = functools.partial(_describe_drops, renderer)
    _sink.open(target)
    _gate.write_summary = functools.partial(_write_summary, renderer)
    access_lines.configure(_sink if isinstance(renderer, JSONRenderer) else None, level.upper())
    _processors[:] = [_gate, merge_context, renderer]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        context_class=dict,
        logger_factory=_name_output,
        cache_logger_on_first_use=True,
    )
    _configure_stdlib(level.upper(), _StdlibHandler(renderer, _sink))
    _log_uncaught()


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger: `get_logger(__name__).info("order placed", order_id=7)`.

    It may be called before `configure_logging`; the logger is built when it is used first.
    """
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def count_dropped_lines() -> int:
    """Return how many lines this process has lost, because its reader had stopped or had gone."""
    return _sink.dropped


class _StdlibHandler(logging.Handler):
    """Brings records of the standard library into the stream and shape of all others."""

    def __init__(self, renderer: Renderer, sink: LineSink) -> None:
        super().__init__()
        self.renderer = renderer
        self.sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        exc = record.exc_info[1] if record.exc_info else None
        if exc is not None and record.name.startswith(_SERVER_PREFIXES) and is_reported(exc):
            return  # the middleware has logged it, with the context of the request
        extra = {k: v for k, v in vars(record).items() if k not in _RECORD_ATTRIBUTES}
        level = record.levelname.lower()
        event: dict[str, Any] = {"event": safe_text(record.msg), **extra}
        if exc is not None:
            event["exc_info"] = exc
        if record.stack_info:
            event["stack"] = record.stack_info
        try:
            # Lines of one template are equal, whatever the values are.
            _gate(record, level, event)
        except DropEvent:
            return
        event["event"] = _find_message(record)
        self.sink.write(self.renderer(record, level, merge_context(None, "", event)))


def _find_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage().rstrip()
    except Exception as exc:
        return f"{safe_text(record.msg)} (arguments do not fit: {type(exc).__name__})"


class _Source:
    """The name of a logger."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


def _write_summary(
    renderer: Renderer, level: str, logger: str, event: str, fields: dict[str, Any]
) -> None:
    _sink.write(renderer(_Source(logger), level, {"event": event, **fields}))


def _describe_drops(renderer: Renderer, count: int) -> bytes:
    event = {"event": "log lines dropped", "dropped": count}
    return renderer(_Source("framework.log"), "warning", event)


def _choose_renderer(format: LogFormat, *, is_terminal: bool) -> Renderer:
    if format == "console" or (format == "auto" and is_terminal):
        return ConsoleRenderer(colors=is_terminal)
    return JSONRenderer()


def _name_output(name: str = "root", *_: Any) -> NamedOutput:
    return NamedOutput(_sink, name)


def _configure_stdlib(level: str, handler: _StdlibHandler) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        # What logging.basicConfig() installs would print each line a second time.
        if isinstance(old, _StdlibHandler) or type(old) is logging.StreamHandler:
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _SERVER_LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        # A number: uvicorn compares it, and with NOTSET formats trace lines for each connection.
        logger.setLevel(level)
    # The application writes the access lines. Without a handler uvicorn does not even make its own;
    # the filter stays when uvicorn gives this logger handlers after us.
    access = logging.getLogger("uvicorn.access")
    access.propagate = False
    access.addFilter(_refuse)
    logging.captureWarnings(capture=True)


def _refuse(record: logging.LogRecord) -> bool:
    return False


def _log_uncaught() -> None:
    """Log what kills the process or a thread, unless somebody else has taken the hooks.

    What nobody can raise (in `__del__`, in a callback of the garbage collector) is logged, too.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_crash
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_thread_crash
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _log_unraisable


def _log_crash(
    kind: type[BaseException], exc: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, exc, traceback)
        return
    get_logger(__name__).critical("uncaught exception", exc_info=exc)


def _log_thread_crash(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_value is None or issubclass(crash.exc_type, SystemExit):
        return
    thread = crash.thread.name if crash.thread is not None else None
    get_logger(__name__).error("uncaught exception", exc_info=crash.exc_value, thread=thread)


def _log_unraisable(failure: sys.UnraisableHookArgs) -> None:
    text = failure.err_msg or "Exception ignored in"
    where = safe_text(getattr(failure.object, "__qualname__", type(failure.object).__name__))
    get_logger(__name__).error(
        "unraisable exception", exc_info=failure.exc_value, where=f"{text} {where}"
    )
