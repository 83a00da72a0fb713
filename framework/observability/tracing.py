"""Handing the trace of a request on to other services: W3C Trace Context without OpenTelemetry.

`traceparent` of a request is taken strictly (section 3.2 there): one field, lower-case hexadecimal
digits, no id of zeros; anything else begins a new trace. Each request has a span id of its own. Both are
in every log line of the request.
"""

from __future__ import annotations

from framework.observability._traceparent import parse_tracestate
from framework.observability.context import current_context

__all__ = ["outgoing_trace_headers"]


def outgoing_trace_headers() -> dict[str, str]:
    """Return `traceparent`, and `tracestate` where there is one, for a call to another service.

    With them in the headers of the call, what it does belongs to the trace of the request that is
    answered here. Empty outside of one. Where the client library is instrumented by OpenTelemetry that
    adds them itself.
    """
    context = current_context()
    if context is None:
        return {}
    # Whether a trace is recorded is the caller's decision, or that of OpenTelemetry here.
    parent = f"00-{context.trace_id}-{context.span_id}-{context.flags & 1:02x}"
    state = parse_tracestate(context.tracestate)
    return {"traceparent": parent, "tracestate": state} if state else {"traceparent": parent}
