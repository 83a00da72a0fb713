"""Spans for OpenTelemetry: of requests, of the database, and of calls to other services.

Everything but being on is set by the standard variables: `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS` and
`_TIMEOUT`, `OTEL_TRACES_SAMPLER`, `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
`OTEL_PYTHON_DISABLED_INSTRUMENTATIONS`, `OTEL_SDK_DISABLED` and so on.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

import anyio
import anyio.to_thread

from framework.observability._limits import LAST_SPANS_SECONDS
from framework.observability.process import worker_slot

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import set_tracer_provider
except ImportError as exc:
    raise ImportError(
        "framework.observability.telemetry needs OpenTelemetry, which is not installed: run "
        "`pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http "
        "opentelemetry-instrumentation-asgi` (the extra `otel`)"
    ) from exc

__all__ = ["INSTRUMENTATIONS", "send_spans"]

INSTRUMENTATIONS: Final = frozenset(
    {
        "aiohttp-client",
        "asyncpg",
        "httpx",
        "psycopg",
        "redis",
        "requests",
        "sqlalchemy",
        "sqlite3",
        "urllib",
        "urllib3",
    }
)
"""Official instrumentations that are used where they are installed: databases and outgoing HTTP."""


@asynccontextmanager
async def send_spans(service_name: str, *, service_version: str = "") -> AsyncIterator[None]:
    """Make spans of requests, databases and outgoing HTTP, and send them until the end.

    Enter it first in the lifespan: threads and connections are made here, so each worker has its own,
    made after the fork. Spans of requests need `OpenTelemetryMiddleware`, outermost. What has not been
    sent at the end has `LAST_SPANS_SECONDS`.

    Args:
        service_name: unless the environment names the service.
        service_version: of what is running.
    """
    provider = TracerProvider(resource=_describe(service_name, service_version))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    set_tracer_provider(provider)
    instrumentors = [_start(entry, provider) for entry in _find_instrumentations()]
    try:
        yield
    finally:
        for instrumentor in instrumentors:
            instrumentor.uninstrument()
        with anyio.move_on_after(LAST_SPANS_SECONDS, shield=True):
            await anyio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)


def _describe(name: str, version: str) -> Resource:
    """Return what every span says about its process; what the environment says wins."""
    known = {"service.version": version, "worker.slot": worker_slot() or ""}
    attributes: dict[str, Any] = {key: value for key, value in known.items() if value}
    resource = Resource(attributes).merge(Resource.create())
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": name}))
    return resource


def _find_instrumentations() -> list[EntryPoint]:
    text = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    disabled = {name.strip() for name in text.split(",")}
    return [
        entry
        for entry in entry_points(group="opentelemetry_instrumentor")
        if entry.name in INSTRUMENTATIONS - disabled
    ]


def _start(entry: EntryPoint, provider: TracerProvider) -> Any:
    instrumentor = entry.load()()
    instrumentor.instrument(tracer_provider=provider)
    return instrumentor
