"""`OpenTelemetryMiddleware`: a span and the duration of each request, by the official instrumentation.

What that records is kept free of what clients choose: spans are named by the template of the route, the
query and the `Host` field are left out (the one may hold secrets, the other would make a new series of
metrics for each value, as in CVE-2023-43810), and so are fields that it could not decode.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from types import SimpleNamespace
from typing import Any, Final

from framework.datastructures import URL
from framework.middleware._templates import find_template
from framework.types import ASGIApp, Message, Receive, Scope, Send

try:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as _Instrumentation
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import (
        Span,
        TracerProvider,
        format_span_id,
        format_trace_id,
        get_current_span,
    )
    from opentelemetry.util.http import sanitize_method
except ImportError as exc:
    raise ImportError(
        "OpenTelemetryMiddleware needs OpenTelemetry, which is not installed: run "
        "`pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http "
        "opentelemetry-instrumentation-asgi` (the extra `otel`)"
    ) from exc

__all__ = ["OpenTelemetryMiddleware"]

# In the scope of the application: there is a span already, or none is wanted. In the copy: the scope
# of the application.
_SCOPE_KEY: Final = "framework.opentelemetry"

_KINDS: Final = frozenset({"http", "websocket"})

# The ids that `framework.observability` puts into log lines; it may not be there.
_CONTEXT_KEY: Final = "framework.request_context"


class OpenTelemetryMiddleware:
    """Make a server span for each request, named `{method} {route}`, and measure it.

    That of a WebSocket, `GET {route}`, ends with the connection.

    The context of the caller (`traceparent`) is continued. Providers are looked up when the first
    request comes, so set them in the lifespan: each worker has its own, made after it was forked.
    What lies below another one of these passes.

    Args:
        app: the application.
        excluded_urls: regular expressions, searched for in the whole URL; a text has them separated by
            commas.
        tracer_provider: the global one unless given.
        meter_provider: the global one unless given.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        excluded_urls: str | Sequence[str] = (),
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        if isinstance(excluded_urls, str):
            excluded_urls = [each.strip() for each in excluded_urls.split(",") if each.strip()]
        self.app = app
        self._excluded = [re.compile(pattern) for pattern in excluded_urls]
        self._instrumented = _Instrumentation(
            _Below(app),
            default_span_details=_describe_span,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
            # A span for each message tells nothing that the one of the request does not.
            exclude_spans=["receive", "send"],
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in _KINDS or _SCOPE_KEY in scope:
            await self.app(scope, receive, send)
            return
        # What is excluded here is excluded below, where a mounted application sees another URL.
        scope[_SCOPE_KEY] = True
        try:
            if self._is_excluded(scope):
                await self.app(scope, receive, send)
            else:
                await self._instrumented(_build_view(scope), receive, send)
        finally:
            scope.pop(_SCOPE_KEY, None)

    def _is_excluded(self, scope: Scope) -> bool:
        if not self._excluded:
            return False
        url = str(URL(scope=scope))
        return any(pattern.search(url) for pattern in self._excluded)


class _Below:
    """The application, inside the span."""

    __slots__ = ("app",)

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, view: Scope, receive: Receive, send: Send) -> None:
        scope: Scope = view[_SCOPE_KEY]
        span = get_current_span()
        _tell_log(scope, span)
        try:
            await self.app(scope, receive, _NamingSend(send, scope, span))
        finally:
            template = _name_span(span, scope)
            # What the metrics of the instrumentation take the route from.
            view["root_path"] = ""
            view["route"] = SimpleNamespace(path_format=template) if template else None


class _NamingSend:
    """Names the span when the response begins: then the route is known, and the span not yet at its end."""

    __slots__ = ("scope", "send", "span")

    def __init__(self, send: Send, scope: Scope, span: Span) -> None:
        self.send = send
        self.scope = scope
        self.span = span

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            _name_span(self.span, self.scope)
        return self.send(message)


def _build_view(scope: Scope) -> dict[str, Any]:
    """Return the scope as the instrumentation is to see it."""
    headers = [
        field for field in scope["headers"] if field[0] != b"host" and _is_text(b"".join(field))
    ]
    if [name for name, _ in headers].count(b"traceparent") > 1:
        # W3C Trace Context, section 3.2: several are none. The instrumentation would take the first.
        headers = [field for field in headers if field[0] != b"traceparent"]
    view = {**scope, "query_string": b"", "headers": headers, _SCOPE_KEY: scope}
    view.setdefault("method", "GET")  # that of a WebSocket handshake
    return view


def _is_text(field: bytes) -> bool:
    try:
        field.decode()
    except UnicodeDecodeError:
        return False
    return True


def _describe_span(scope: Scope) -> tuple[str, dict[str, Any]]:
    """Return the name of a span before there is a route, and for what has none."""
    return _find_method(scope), {}


def _tell_log(scope: Scope, span: Span) -> None:
    """Have the log lines of the request carry the ids of its span."""
    context = scope.get(_CONTEXT_KEY)
    ids = span.get_span_context()
    if context is not None and ids.is_valid:
        context.trace_id = format_trace_id(ids.trace_id)
        context.span_id = format_span_id(ids.span_id)
        context.flags = int(ids.trace_flags)


def _name_span(span: Span, scope: Scope) -> str:
    template = find_template(scope)
    if template and span.is_recording():
        span.update_name(f"{_find_method(scope)} {template}")
        span.set_attribute("http.route", template)
    return template


def _find_method(scope: Scope) -> str:
    method: str = sanitize_method(scope.get("method", "GET"))
    return "HTTP" if method == "_OTHER" else method
