"""The log stream of a test, read back as data."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry

from framework.observability.context import forget_request_context
from framework.observability.logging import configure_logging
from framework.observability.metrics import HttpMetrics
from framework.observability.middleware import ObservabilityMiddleware
from framework.types import ASGIApp
from tests.framework.observability.harness import LogStream, Observe


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """Undo whatever `configure_logging` changes in this process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    forget_request_context()


@pytest.fixture
def log(restored_logging: None) -> LogStream:
    """JSON logging at level debug into a stream that the test reads."""
    stream = LogStream()
    configure_logging(level="DEBUG", format="json", stream=stream)
    return stream


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def observe(registry: CollectorRegistry, log: LogStream) -> Observe:
    """Wrap an application, with metrics in the registry of the test."""
    metrics = HttpMetrics(registry)

    def wrap(app: ASGIApp, **options: Any) -> ObservabilityMiddleware:
        return ObservabilityMiddleware(app, **{"metrics": metrics, **options})

    return wrap
