"""The context of a request: its ids, present in every log line written while it is answered.

They live in a context variable, so threads of `anyio.to_thread`, background tasks and tasks that a
request starts have them too. `structlog.contextvars.bind_contextvars(user_id=7)` adds more, with the
same reach. All of it is forgotten when the next request begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar, copy_context
from typing import Any, Final

from structlog.contextvars import STRUCTLOG_KEY_PREFIX, merge_contextvars

from framework.observability._ids import make_id
from framework.observability._limits import MAX_REQUEST_ID_CHARACTERS
from framework.observability._traceparent import parse_traceparent

__all__ = [
    "REQUEST_CONTEXT_SCOPE_KEY",
    "REQUEST_ID_HEADER",
    "REQUEST_ID_SCOPE_KEY",
    "RequestContext",
    "begin_request_context",
    "current_context",
    "current_request_id",
    "forget_request_context",
    "has_bound_fields",
    "merge_context",
]

REQUEST_ID_HEADER: Final = b"x-request-id"
REQUEST_ID_SCOPE_KEY: Final = "framework.request_id"
REQUEST_CONTEXT_SCOPE_KEY: Final = "framework.request_context"

_is_well_formed: Final = re.compile(rb"[A-Za-z0-9._-]{1,%d}" % MAX_REQUEST_ID_CHARACTERS).fullmatch


class RequestContext:
    """The ids of one request or WebSocket connection.

    `request_id` is the client's `X-Request-ID` when it is well formed, else a new random one. Well
    formed means 1 to 128 letters, digits, dots, hyphens and underscores: nothing that could break a
    log line, a header or a shell command. Of several fields the first one counts.

    `trace_id` (32 hexadecimal digits) is that of a valid `traceparent`, else a new one; `span_id` (16)
    is new. OpenTelemetry, where it is on, puts the ids of its own span here.

    Args:
        headers: of the request, names in lower case.
    """

    __slots__ = ("_headers", "flags", "request_id", "span_id", "trace_id")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        request_id = parent = None
        is_repeated = False
        for name, value in headers:
            if name == b"traceparent":
                is_repeated = parent is not None
                parent = value
            elif name == REQUEST_ID_HEADER and request_id is None:
                request_id = value
        if request_id is not None and _is_well_formed(request_id):
            self.request_id = request_id.decode("ascii")
        else:
            self.request_id = make_id()
        self.span_id = make_id()[:16]
        self.flags = 0
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        trace = parse_traceparent(parent) if parent is not None and not is_repeated else None
        if trace is None:
            self.trace_id = make_id()
        else:
            self.trace_id, _, self.flags = trace
            self._headers = headers

    @property
    def tracestate(self) -> list[bytes]:
        """The `tracestate` fields that came with a valid `traceparent`."""
        return [value for name, value in self._headers if name == b"tracestate"]


_variable: Final[ContextVar[RequestContext | None]] = ContextVar("request_context", default=None)


def begin_request_context(headers: Iterable[tuple[bytes, bytes]]) -> RequestContext:
    """Set and return the context of a request, and forget everything else.

    What an earlier request of the same connection left is cleared, whatever bound it.
    """
    _clear_bound_fields()
    context = RequestContext(headers)
    _variable.set(context)
    return context


def forget_request_context() -> None:
    """Forget the request: for what a request starts and what has nothing to do with it any more."""
    _clear_bound_fields()
    _variable.set(None)


def current_context() -> RequestContext | None:
    """Return the context of the request that is being answered here, None outside of one."""
    return _variable.get()


def current_request_id() -> str | None:
    """Return the id of the request that is being answered here, None outside of one."""
    context = _variable.get()
    return None if context is None else context.request_id


def merge_context(logger: Any, method: str, event: MutableMapping[str, Any]) -> Any:
    """Add the ids and what structlog has bound to an event; what the event has itself stays."""
    context = _variable.get()
    if context is not None:
        event.setdefault("request_id", context.request_id)
        event.setdefault("trace_id", context.trace_id)
        event.setdefault("span_id", context.span_id)
    return merge_contextvars(logger, method, event)


def has_bound_fields() -> bool:
    """Say whether something was bound with `bind_contextvars`."""
    # PERF: a loop and no generator: asked for every request.
    for variable in copy_context():  # noqa: SIM110
        if variable.name.startswith(STRUCTLOG_KEY_PREFIX):
            return True
    return False


def _clear_bound_fields() -> None:
    # PERF: what structlog's own function does, without a call where nothing is bound.
    for variable in copy_context():
        if variable.name.startswith(STRUCTLOG_KEY_PREFIX):
            variable.set(Ellipsis)
