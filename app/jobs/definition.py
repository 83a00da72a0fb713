"""`job`: makes a function a durable job that is counted and timed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final

from dbos import DBOS

from framework.observability.metrics import Counter, Gauge, Histogram

# Workers that may die over a job before it is given up: what kills its worker each time must end.
MAX_DEATHS: Final = 5

_BUCKETS_SECONDS: Final = (0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0)

_ended: Final = Counter(
    "jobs_ended_total",
    "Runs of durable jobs by outcome; one that was interrupted goes on in another run.",
    ("name", "outcome"),
)
_durations: Final = Histogram(
    "job_duration_seconds",
    "Seconds of one run of a durable job.",
    ("name",),
    buckets=_BUCKETS_SECONDS,
)
_running: Final = Gauge(
    "jobs_running",
    "Durable jobs that are being executed.",
    ("name",),
    multiprocess_mode="livesum",
)


def job(name: str, *, max_deaths: int = MAX_DEATHS) -> Callable[[Callable[..., Any]], Any]:
    """Make a function, sync or async, the durable job `name`: `@job("count")`.

    Args:
        name: what requests enqueue.
        max_deaths: workers that may die over it; then it counts as failed.
    """
    return functools.partial(_define, name, max_deaths)


def _define(name: str, max_deaths: int, function: Callable[..., Any]) -> Any:
    measured = _measure_async if inspect.iscoroutinefunction(function) else _measure_sync
    workflow = DBOS.workflow(name=name, max_recovery_attempts=max_deaths)
    return workflow(measured(name, function))


def _measure_async(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with _measure(name):
            return await function(*args, **kwargs)

    return run


def _measure_sync(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with _measure(name):
            return function(*args, **kwargs)

    return run


@contextmanager
def _measure(name: str) -> Iterator[None]:
    begun_at = perf_counter()
    outcome = "interrupted"
    _running.labels(name).inc()
    try:
        yield
        outcome = "succeeded"
    except Exception:
        outcome = "failed"
        raise
    finally:
        _running.labels(name).dec()
        _ended.labels(name, outcome).inc()
        _durations.labels(name).observe(perf_counter() - begun_at)
