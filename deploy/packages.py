"""The packages that some settings need. Extras are not in `requirements.lock`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.settings import Settings
from framework.server.preflight import find_missing_packages

PARSERS: Final[Mapping[str, Mapping[str, str]]] = {
    "httptools": {"httptools": "httptools>=0.9"},
    "zttp": {"zttp": "zttp==0.0.35"},
}
"""What each `HTTP` needs: the module, and the requirement as `pyproject.toml` has it."""

TRACING: Final[Mapping[str, str]] = {
    "opentelemetry.sdk.trace": "opentelemetry-sdk>=1.30",
    "opentelemetry.exporter.otlp.proto.http": "opentelemetry-exporter-otlp-proto-http>=1.30",
    "opentelemetry.instrumentation.asgi": "opentelemetry-instrumentation-asgi>=0.50b0",
}
"""What spans need. The other packages of the extra `otel` are used where they are there."""


def find_missing(settings: Settings) -> str | None:
    """Return one line with the remedy when the service cannot run for want of a package, else None."""
    problem = find_missing_packages(f"HTTP={settings.http}", PARSERS[settings.http], load=True)
    return problem or find_missing_for_spans(settings)


def find_missing_for_spans(settings: Settings) -> str | None:
    """Return the same for what sends spans."""
    if not settings.otlp_endpoint:
        return None
    # Only looked for: each worker loads them itself, after the fork.
    return find_missing_packages("OTEL_EXPORTER_OTLP_ENDPOINT", TRACING, load=False)
