"""What a worker uses: memory, descriptors, processor time, garbage collections, threads, its loop."""

from __future__ import annotations

import gc
import threading
import time
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry

from framework.concurrency import list_thread_pools
from framework.observability._instruments import Counter, Gauge, Histogram
from framework.observability._limits import LAG_BUCKETS_SECONDS, SAMPLE_INTERVAL_SECONDS
from framework.observability._published import PublishedStatistics
from framework.observability.logging import count_dropped_lines, get_logger
from framework.observability.process import count_open_fds, read_resident_bytes, worker_slot
from framework.observability.watchdog import add_lag_observer, remove_lag_observer

__all__ = ["WorkerMetrics"]

_GENERATIONS: Final = ("0", "1", "2")
_THREAD_GAUGES: Final = {
    "limit": "Threads that may work at the same time.",
    "used": "Threads that are busy.",
    "waiting": "Calls that wait for a thread.",
}

_log = get_logger("framework.observability.metrics")


class WorkerMetrics:
    """Measures this process every five seconds, in a thread.

    A thread also measures while the event loop is blocked, and with any event loop.

    By `worker_slot`: `process_worker_resident_memory_bytes`, `process_worker_open_fds`,
    `process_worker_start_time_seconds`, `process_worker_cpu_seconds_total`. By `pool`: `threads_limit`,
    `threads_used`, `threads_waiting`. By `generation`: `gc_collections_total`, `gc_pause_seconds_total`.
    `event_loop_lag_seconds` (histogram) has what a `LoopWatchdog` sees, `log_lines_dropped_total` what
    the log has lost.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        # `livemax` with a label of our own instead of `liveall`: the library's label would be `pid`.
        self._resident_bytes = _build_gauge("resident_memory_bytes", "Resident memory", registry)
        self._open_fds = _build_gauge("open_fds", "Open file descriptors", registry)
        self._start_time = _build_gauge(
            "start_time_seconds", "Start, in seconds since 1970,", registry
        )
        self._cpu_seconds = Counter(
            "process_worker_cpu_seconds_total",
            "Processor time of the workers that had this slot, in seconds.",
            ("worker_slot",),
            registry=registry,
        )
        self._threads = {
            field: Gauge(
                f"threads_{field}",
                text,
                ("pool",),
                multiprocess_mode="livesum",
                registry=registry,
            )
            for field, text in _THREAD_GAUGES.items()
        }
        self._collections = Counter(
            "gc_collections_total", "Garbage collections.", ("generation",), registry=registry
        )
        self._pauses = Counter(
            "gc_pause_seconds_total",
            "Seconds in which the garbage collector ran and nothing else.",
            ("generation",),
            registry=registry,
        )
        self._lag = Histogram(
            "event_loop_lag_seconds",
            "How much later than asked for the event loop runs a callback.",
            buckets=LAG_BUCKETS_SECONDS,
            registry=registry,
        )
        self.published = PublishedStatistics(registry)
        self.published.add("log", _read_log, counters=("lines_dropped",))
        self._garbage = _GarbageWatch()
        self._counted_cpu_seconds = 0.0
        self._stopped: threading.Event | None = None

    def start(self) -> None:
        """Begin to measure this process, now and every five seconds."""
        self.stop()
        self._start_time.labels(worker_slot() or "0").set(time.time())
        self._stopped = threading.Event()
        gc.callbacks.append(self._garbage)
        add_lag_observer(self._lag.observe)
        threading.Thread(
            target=self._sample_until, args=(self._stopped,), name="worker-metrics", daemon=True
        ).start()

    def stop(self) -> None:
        """Stop measuring this process; what only grows is counted to the end."""
        if self._stopped is None:
            return
        self._stopped.set()
        self._stopped = None
        gc.callbacks.remove(self._garbage)
        remove_lag_observer(self._lag.observe)
        self._count()

    def sample(self) -> None:
        """Measure once."""
        slot = worker_slot() or "0"
        self._resident_bytes.labels(slot).set(read_resident_bytes())
        descriptors = count_open_fds()
        if descriptors is not None:
            self._open_fds.labels(slot).set(descriptors)
        for pool in list_thread_pools():
            for field, value in pool.statistics()._asdict().items():
                self._threads[field].labels(pool.name).set(value)
        self._count()

    def _count(self) -> None:
        seconds = time.process_time()
        spent, self._counted_cpu_seconds = seconds - self._counted_cpu_seconds, seconds
        # Less than before in a process that was forked meanwhile: its clock began at 0.
        self._cpu_seconds.labels(worker_slot() or "0").inc(spent if spent >= 0.0 else seconds)
        for generation, (count, pause) in zip(_GENERATIONS, self._garbage.take(), strict=True):
            self._collections.labels(generation).inc(count)
            self._pauses.labels(generation).inc(pause)
        self.published.publish()

    def _sample_until(self, stopped: threading.Event) -> None:
        while not stopped.is_set():
            try:
                self.sample()
            except OSError:
                _log.warning("worker metrics not written", exc_info=True)
                return
            stopped.wait(SAMPLE_INTERVAL_SECONDS)


def _read_log() -> dict[str, float]:
    return {"lines_dropped": count_dropped_lines()}


class _GarbageWatch:
    """Counts collections and their seconds by generation; one of `gc.callbacks`.

    It only adds numbers: a collection may begin anywhere, also where metrics are being written.
    """

    def __init__(self) -> None:
        self._begun_at = 0.0
        self._totals = [(0, 0.0)] * len(_GENERATIONS)
        self._taken = list(self._totals)

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._begun_at = now
        elif self._begun_at:
            count, pause = self._totals[info["generation"]]
            self._totals[info["generation"]] = count + 1, pause + now - self._begun_at

    def take(self) -> list[tuple[int, float]]:
        """Return what came since this was last asked for."""
        totals, taken = list(self._totals), self._taken
        self._taken = totals
        return [(new[0] - old[0], new[1] - old[1]) for new, old in zip(totals, taken, strict=True)]


def _build_gauge(name: str, what: str, registry: CollectorRegistry) -> Gauge:
    return Gauge(
        f"process_worker_{name}",
        f"{what} of a worker.",
        ("worker_slot",),
        multiprocess_mode="livemax",
        registry=registry,
    )
