"""The metrics of HTTP requests, written with one look-up and one lock for each request."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final

import prometheus_client
from prometheus_client import REGISTRY, CollectorRegistry

from framework.observability._cells import Cell, store
from framework.observability._instruments import Counter, Gauge, Histogram, count_folded, has_room
from framework.observability._labels import KNOWN_METHODS, OTHER_METHOD, OVERFLOW
from framework.observability._limits import (
    DURATION_BUCKETS_SECONDS,
    MAX_EXCEPTION_TYPES,
    MAX_TASK_NAMES,
    TASK_DURATION_BUCKETS_SECONDS,
)
from framework.observability._websocket_metrics import WebSocketMetrics
from framework.observability._worker_metrics import WorkerMetrics
from framework.tasks import TaskSupervisor

__all__ = ["BackgroundMetrics", "HttpMetrics"]

_CLIENT_CLOSED_REQUEST: Final = 499


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
        task = _bound(self._names, task, MAX_TASK_NAMES, "background_tasks")
        self._tasks.labels(task, outcome).inc()
        self._durations.labels(task).observe(seconds)


class _RequestSeries:
    """The numbers that a request with one label set changes."""

    __slots__ = ("aborted", "buckets", "in_flight", "received", "seconds", "sent", "total")

    def __init__(self, metrics: HttpMetrics, labels: tuple[str, str, str], status: int) -> None:
        duration = metrics.durations.labels(*labels)
        self.in_flight: Cell = _find_cell(metrics.in_flight)
        self.total: Cell = _find_cell(metrics.requests.labels(*labels))
        self.received: Cell = _find_cell(metrics.received.labels(*labels))
        self.sent: Cell = _find_cell(metrics.sent.labels(*labels))
        self.seconds: Cell = duration._sum  # noqa: SLF001
        self.buckets: list[Cell] = duration._buckets  # noqa: SLF001
        self.aborted: Cell | None = None
        if status == _CLIENT_CLOSED_REQUEST:
            self.aborted = _find_cell(metrics.aborted.labels(*labels[:2]))

    def count(self, seconds: float, received: int, sent: int) -> None:
        # PERF: one lock, and each number is one store into memory: 8 µs less than five calls.
        bucket = self.buckets[bisect_left(DURATION_BUCKETS_SECONDS, seconds)]
        with store.lock:
            if not store.is_attached:
                store.attach()
            cell = self.in_flight
            cell.cells[cell.index] -= 1.0
            cell = self.total
            cell.cells[cell.index] += 1.0
            cell = self.seconds
            cell.cells[cell.index] += seconds
            bucket.cells[bucket.index] += 1.0
            if received:
                cell = self.received
                cell.cells[cell.index] += received
            if sent:
                cell = self.sent
                cell.cells[cell.index] += sent
        if self.aborted is not None:
            self.aborted.inc()


class HttpMetrics:
    """The metrics of a service: requests here, the rest in `websockets`, `background` and `worker`.

    By method, route template and status: `http_requests_total`, `http_request_duration_seconds`
    (histogram), `http_request_body_bytes_total`, `http_response_body_bytes_total`. By method and route:
    `http_requests_aborted_total`, of the client. By type: `unhandled_exceptions_total`. And
    `http_requests_in_flight`.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        labels = ("method", "route", "status")
        self.requests = _build_counter(
            "http_requests_total", "Requests answered.", labels, registry
        )
        # Those of the client library: the number of label sets is limited here, for all of them.
        self.durations = prometheus_client.Histogram(
            "http_request_duration_seconds",
            "Seconds until the last byte of the response was handed to the server.",
            labels,
            buckets=DURATION_BUCKETS_SECONDS,
            registry=registry,
        )
        self.received = _build_counter(
            "http_request_body_bytes_total", "Bytes of bodies that were read.", labels, registry
        )
        self.sent = _build_counter(
            "http_response_body_bytes_total", "Bytes of bodies that were sent.", labels, registry
        )
        self.aborted = _build_counter(
            "http_requests_aborted_total",
            "Requests whose client went away before the response was complete.",
            labels[:2],
            registry,
        )
        self._exceptions = Counter(
            "unhandled_exceptions_total",
            "Exceptions that no handler took.",
            ("exception",),
            registry=registry,
        )
        self.in_flight = Gauge(
            "http_requests_in_flight",
            "Requests that are being answered.",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self.background = BackgroundMetrics(registry)
        self.websockets = WebSocketMetrics(registry)
        self.worker = WorkerMetrics(registry)
        self._series: dict[tuple[str, str, int], _RequestSeries] = {}
        self._exception_types: set[str] = set()
        self.begin: Callable[[], None] = _find_cell(self.in_flight).inc
        """Count a request that has begun; `end` comes after it."""

    def end(
        self,
        method: str,
        route: str,
        status: int,
        seconds: float,
        received: int = 0,
        sent: int = 0,
    ) -> None:
        """Count one answered request, with the bytes of both bodies; `begin` was called before it."""
        try:
            series = self._series[method, route, status]
        except KeyError:
            series = self._find_series(method, route, status)
        series.count(seconds, received, sent)

    def count_exception(self, exc: BaseException) -> None:
        """Count an exception that no handler took."""
        name = type(exc).__qualname__
        name = _bound(self._exception_types, name, MAX_EXCEPTION_TYPES, "unhandled_exceptions")
        self._exceptions.labels(name).inc()

    def start_worker(self) -> None:
        """Begin to measure this process, which has no requests and no connections yet."""
        self.in_flight.set(0)
        self.websockets.reset()
        self.worker.start()

    def publish_parts(self, app: Any) -> None:
        """Publish the numbers that an `App` keeps about its tasks; another application has none."""
        tasks = getattr(app, "tasks", None)
        if isinstance(tasks, TaskSupervisor):
            self.worker.published.add("background_tasks", tasks.statistics)

    def stop_worker(self) -> None:
        """Stop measuring this process."""
        self.worker.stop()

    def _find_series(self, method: str, route: str, status: int) -> _RequestSeries:
        if method not in KNOWN_METHODS:
            method = OTHER_METHOD
        is_folded = False
        series = self._series.get((method, route, status))
        if series is None and not has_room(self.requests, (method, route, str(status))):
            is_folded = True
            method, route, status = OTHER_METHOD, OVERFLOW, status // 100
            series = self._series.get((method, route, status))
        if is_folded:
            count_folded("http_requests")
        if series is None:
            label = f"{status}xx" if is_folded else str(status)
            series = _RequestSeries(self, (method, route, label), status)
            self._series[method, route, status] = series
        return series


def _bound(names: set[str], name: str, limit: int, metric: str) -> str:
    """Return the name, or the one that all names beyond the limit share."""
    if name in names:
        return name
    if len(names) < limit:
        names.add(name)
        return name
    count_folded(metric)
    return OVERFLOW


def _find_cell(metric: Any) -> Cell:
    """Return the number of a counter or gauge, of a label set if it has labels."""
    cell: Cell = metric._value  # noqa: SLF001 -- one call for each number would cost 1 µs
    return cell


def _build_counter(
    name: str, text: str, labels: tuple[str, ...], registry: CollectorRegistry
) -> prometheus_client.Counter:
    return prometheus_client.Counter(name, text, labels, registry=registry)
