"""Spans for a collector. Without one, nothing of OpenTelemetry is loaded, and nothing is spent on it."""

from __future__ import annotations

import importlib
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from app import __version__
from app.settings import Settings
from framework.middleware import Middleware


def build_tracing(settings: Settings) -> list[Middleware]:
    """Return the layer that makes a span of each request; none without a collector."""
    if not settings.otlp_endpoint:
        return []
    module: Any = importlib.import_module("framework.middleware.opentelemetry")
    return [Middleware(module.OpenTelemetryMiddleware)]


def send_spans(settings: Settings) -> AbstractAsyncContextManager[None]:
    """Return what the lifespan runs in: spans are sent while it lasts."""
    if not settings.otlp_endpoint:
        return nullcontext()
    module: Any = importlib.import_module("framework.observability.telemetry")
    sender: AbstractAsyncContextManager[None] = module.send_spans(
        settings.service_name, service_version=__version__
    )
    return sender
