"""The HTTP metrics of the service and the place from which an application takes its metric classes.

With `PROMETHEUS_MULTIPROC_DIR` set, values live in files of that directory, named after the slot of
the worker: the files stay as many as there are slots, a new worker continues the counters of its
predecessor, and `framework.observability.exporter` adds them up. Without the variable everything
stays in this process.

Import `Counter`, `Gauge` and `Histogram` from here, not from the client library: whoever creates a
metric has then loaded the rule that picks the file. A gauge names its `multiprocess_mode`; one of the
`live` modes forgets workers that are gone.
"""

from __future__ import annotations

import functools
import os
import platform
import threading
from collections.abc import Callable
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import mark_process_dead

from framework.concurrency import background_threads, endpoint_threads, file_threads
from framework.observability._limits import (
    DURATION_BUCKETS_SECONDS,
    MAX_LABEL_SETS,
    MAX_TASK_NAMES,
    SAMPLE_INTERVAL_SECONDS,
    TASK_DURATION_BUCKETS_SECONDS,
)
from framework.observability.logging import get_logger
from framework.observability.process import (
    count_open_fds,
    file_identifier,
    read_resident_bytes,
    worker_slot,
)

__all__ = [
    "MULTIPROCESS_DIRECTORY_VARIABLE",
    "OTHER_METHOD",
    "OVERFLOW_ROUTE",
    "OVERFLOW_TASK",
    "UNMATCHED_ROUTE",
    "BackgroundMetrics",
    "Counter",
    "Gauge",
    "Histogram",
    "HttpMetrics",
    "http_metrics",
    "mark_dead",
    "set_build_info",
]

MULTIPROCESS_DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

UNMATCHED_ROUTE: Final = "__unmatched__"
OVERFLOW_ROUTE: Final = "__overflow__"
OTHER_METHOD: Final = "OTHER"
OVERFLOW_TASK: Final = "__overflow__"

_THREAD_GAUGES: Final = {
    "limit": "Threads that may work at the same time.",
    "used": "Threads that are busy.",
    "waiting": "Calls that wait for a thread.",
}

# RFC 9110, PATCH (RFC 5789) and QUERY. A label never comes from the client.
_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)

_log = get_logger(__name__)


@functools.cache
def _build_slot_values() -> Any:
    return values.MultiProcessValue(file_identifier)  # type: ignore[no-untyped-call]


def _build_value(*args: Any, **kwargs: Any) -> Any:
    # The client library decides this once, when it is imported, and names files after pids.
    # Deciding it for each new metric makes the order of imports and settings irrelevant.
    if os.environ.get(MULTIPROCESS_DIRECTORY_VARIABLE):
        return _build_slot_values()(*args, **kwargs)
    return values.MutexValue(*args, **kwargs)  # type: ignore[no-untyped-call]


values.ValueClass = _build_value


# Count one request, observe its duration in seconds.
_Series = tuple[Callable[[], None], Callable[[float], None]]


class BackgroundMetrics:
    """Counts and times background tasks by name and outcome.

    `background_tasks_total` (outcome: `succeeded`, `failed`, `cancelled`) and
    `background_task_duration_seconds` (histogram).
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._tasks = Counter(
            "background_tasks_total",
            "Background tasks that have ended.",
            ("task", "outcome"),
            registry=registry,
        )
        self._durations = Histogram(
            "background_task_duration_seconds",
            "Seconds of a background task, waiting for a thread included.",
            ("task",),
            buckets=TASK_DURATION_BUCKETS_SECONDS,
            registry=registry,
        )
        self._names: set[str] = set()

    def end(self, task: str, outcome: str, seconds: float) -> None:
        """Count one task that has ended."""
        if task not in self._names:
            if len(self._names) >= MAX_TASK_NAMES:
                task = OVERFLOW_TASK
            self._names.add(task)
        try:
            self._tasks.labels(task, outcome).inc()
            self._durations.labels(task).observe(seconds)
        except OSError:  # as in HttpMetrics: the work matters more than the counts
            _log.warning("metrics not written", exc_info=True, task=task)


class HttpMetrics:
    """Counts and times requests by method, route template and status.

    `http_requests_total`, `http_request_duration_seconds` (histogram), `http_requests_in_flight`, and
    for each worker `process_worker_resident_memory_bytes` and `process_worker_open_fds`. Threads by
    pool: `threads_limit`, `threads_used`, `threads_waiting`. `background` has the background tasks.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        labels = ("method", "route", "status")
        self._requests = Counter(
            "http_requests_total", "Requests answered.", labels, registry=registry
        )
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Seconds until the last byte of the response was handed to the server.",
            labels,
            buckets=DURATION_BUCKETS_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        # `livemax` with a label of our own instead of `liveall`: the library's label would be `pid`.
        self._resident_bytes = Gauge(
            "process_worker_resident_memory_bytes",
            "Resident memory of a worker.",
            ("worker_slot",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._open_fds = Gauge(
            "process_worker_open_fds",
            "Open file descriptors of a worker.",
            ("worker_slot",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._threads = {
            field: Gauge(
                f"threads_{field}",
                help_text,
                ("pool",),
                multiprocess_mode="livesum",
                registry=registry,
            )
            for field, help_text in _THREAD_GAUGES.items()
        }
        self.background = BackgroundMetrics(registry)
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._stopped: threading.Event | None = None
        self.begin: Callable[[], None] = self._in_flight.inc
        self.leave: Callable[[], None] = self._in_flight.dec

    def end(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; `begin` was called before it."""
        self.leave()
        key = (method, route, status)
        try:
            # PERF: the two bound methods are looked up once for each label set: 1.5 µs less.
            increment, observe = self._series[key]
        except KeyError:
            increment, observe = self._open_series(method, route, status)
        increment()
        observe(seconds)

    def sample_worker(self) -> None:
        """Measure the memory, the open descriptors and the busy threads of this process."""
        slot = worker_slot() or "0"
        self._resident_bytes.labels(slot).set(read_resident_bytes())
        descriptors = count_open_fds()
        if descriptors is not None:
            self._open_fds.labels(slot).set(descriptors)
        for pool in (endpoint_threads, file_threads, background_threads):
            for field, value in pool.statistics()._asdict().items():
                self._threads[field].labels(pool.name).set(value)

    def start_worker(self) -> None:
        """Begin to measure this process, now and every five seconds, in a thread.

        A thread also measures while the event loop is blocked, and with any event loop.
        """
        self.stop_worker()
        self._in_flight.set(0)
        self._stopped = threading.Event()
        threading.Thread(
            target=self._sample_until, args=(self._stopped,), name="worker-metrics", daemon=True
        ).start()

    def stop_worker(self) -> None:
        """Stop measuring this process."""
        if self._stopped is not None:
            self._stopped.set()
            self._stopped = None

    def _sample_until(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                self.sample_worker()
            except OSError:
                _log.warning("worker metrics not written", exc_info=True)
                return
            stopped.wait(SAMPLE_INTERVAL_SECONDS)

    def _open_series(self, method: str, route: str, status: int) -> _Series:
        key = (method, route, status)
        labels = (method if method in _METHODS else OTHER_METHOD, route, str(status))
        if len(self._series) >= MAX_LABEL_SETS:
            labels = (OTHER_METHOD, OVERFLOW_ROUTE, f"{status // 100}xx")
        try:
            series: _Series = (
                self._requests.labels(*labels).inc,
                self._durations.labels(*labels).observe,
            )
        except OSError:
            # The directory of the metrics is full or gone. Requests matter more than counts.
            _log.warning("metrics not written", exc_info=True, labels=labels)
            series = (_count_nothing, _observe_nothing)
        if len(self._series) < MAX_LABEL_SETS and method in _METHODS:
            self._series[key] = series
        return series


def _count_nothing() -> None:
    return


def _observe_nothing(_: float) -> None:
    return


@functools.cache
def http_metrics() -> HttpMetrics:
    """Return the metrics of this process, which are in the default registry."""
    return HttpMetrics()


@functools.cache
def _build_info_gauge() -> Gauge:
    return Gauge(
        "slipway_build_info",
        "The version that runs; always 1.",
        ("version", "revision", "python"),
        multiprocess_mode="livemax",
    )


def set_build_info(*, version: str, revision: str) -> None:
    """Publish what runs as the labels of `slipway_build_info`."""
    _build_info_gauge().labels(version, revision, platform.python_version()).set(1)


def mark_dead(slot: int | str) -> None:
    """Forget the live gauges of a worker that is gone; its counters stay. For the server's hooks.

    Call it before the slot is given to another worker. Does nothing without a metrics directory.
    """
    directory = os.environ.get(MULTIPROCESS_DIRECTORY_VARIABLE)
    if directory:
        mark_process_dead(str(slot), directory)  # type: ignore[no-untyped-call]
