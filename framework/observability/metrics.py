"""Metrics: where an application takes its metric classes from, and what the service measures itself.

    from framework.observability.metrics import Counter

    greetings = Counter("greetings_total", "Greetings said.", ("language",))
    english = greetings.labels("en")  # once; a handler then calls english.inc()

With `PROMETHEUS_MULTIPROC_DIR` set, values live in files of that directory, named after the slot of
the worker: the files stay as many as there are slots, a new worker continues the counters of its
predecessor, and `framework.observability.exporter` adds them up. Without the variable everything
stays in this process.

Labels have values from closed sets: a route template, never a path; a known method; a status. Label sets
beyond a limit share an overflow series, and `metrics_folded_total` counts what went there. A gauge names
its `multiprocess_mode`; one of the `live` modes forgets workers that are gone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from framework.observability._cells import MULTIPROCESS_DIRECTORY_VARIABLE, store
from framework.observability._http_metrics import BackgroundMetrics, HttpMetrics
from framework.observability._instruments import Counter, Gauge, GaugeMode, Histogram
from framework.observability._labels import OTHER_METHOD, OVERFLOW, UNMATCHED_ROUTE
from framework.observability._published import Numbers
from framework.observability._websocket_metrics import ConnectionMetrics
from framework.observability.process import take_slot

__all__ = [
    "MULTIPROCESS_DIRECTORY_VARIABLE",
    "OTHER_METHOD",
    "OVERFLOW",
    "UNMATCHED_ROUTE",
    "BackgroundMetrics",
    "ConnectionMetrics",
    "Counter",
    "Gauge",
    "GaugeMode",
    "Histogram",
    "HttpMetrics",
    "http_metrics",
    "mark_dead",
    "publish_statistics",
    "set_build_info",
    "use_directory",
]


@functools.cache
def http_metrics() -> HttpMetrics:
    """Return the metrics of this process, which are in the default registry."""
    return HttpMetrics()


def publish_statistics(
    prefix: str,
    read: Callable[[], Numbers],
    *,
    counters: Collection[str] = (),
    labels: Mapping[str, str] | None = None,
) -> None:
    """Publish numbers that something keeps about itself, every five seconds and at the end.

        publish_statistics("channels", channels.statistics, counters=("published", "delivered"))
        publish_statistics("database_pool", read_pool, labels={"pool": "main"})

    Each name that `read` returns becomes the gauge `<prefix>_<name>`, added up over the workers that live,
    or, when it is in `counters`, the counter `<prefix>_<name>_total`, which goes on through workers.

    Args:
        prefix: begins the names of the metrics.
        read: returns numbers by name, as a mapping or `NamedTuple`. It is called in a thread; when it
            raises it is not called again.
        counters: names of numbers that only grow.
        labels: tell several sources with the same prefix apart. The same prefix and labels again replace
            the source.
    """
    http_metrics().worker.published.add(prefix, read, counters=counters, labels=labels)


@functools.cache
def _build_info_gauge() -> Gauge:
    return Gauge(
        "build_info",
        "The version that runs; always 1.",
        ("version", "revision", "python"),
        multiprocess_mode="livemax",
    )


def set_build_info(*, version: str, revision: str) -> None:
    """Publish what runs as the labels of `build_info`."""
    _build_info_gauge().labels(version, revision, platform.python_version()).set(1)


def use_directory(directory: Path, *, slot: int) -> None:
    """Keep all metrics of this process in files of a directory from now on, once.

    For a worker that no server has started; those of `framework.server` have their place.

    Args:
        directory: is there, and private to this user.
        slot: a number from 0 that no other living process has there; its counters go on.
    """
    os.environ[MULTIPROCESS_DIRECTORY_VARIABLE] = str(directory)
    take_slot(slot)
    store.move()


def mark_dead(slot: int | str) -> None:
    """Forget the live gauges of a worker that is gone; its counters stay. For the server's hooks.

    Call it before the slot is given to another worker. Does nothing without a metrics directory.
    """
    directory = os.environ.get(MULTIPROCESS_DIRECTORY_VARIABLE)
    if directory:
        for file in Path(directory).glob(f"gauge_live*_{slot}.db"):
            with contextlib.suppress(OSError):
                file.unlink()
