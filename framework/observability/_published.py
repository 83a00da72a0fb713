"""Numbers that other parts of a service keep about themselves, taken every few seconds as metrics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry

from framework.observability._instruments import Counter, Gauge
from framework.observability.logging import get_logger

__all__ = ["Numbers", "PublishedStatistics"]

Numbers = Mapping[str, float] | tuple[Any, ...]
"""Numbers by name: a mapping, or a `NamedTuple` of numbers."""

_log: Final = get_logger("framework.observability.metrics")


class _Source(NamedTuple):
    """Somebody who has numbers; `last` are the totals that were seen before."""

    prefix: str
    read: Callable[[], Numbers]
    counters: frozenset[str]
    labels: dict[str, str]
    last: dict[str, float]


class PublishedStatistics:
    """Metrics out of what functions return; see `publish_statistics`."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._sources: dict[tuple[str, tuple[tuple[str, str], ...]], _Source] = {}
        self._metrics: dict[str, Any] = {}

    def add(
        self,
        prefix: str,
        read: Callable[[], Numbers],
        *,
        counters: Collection[str] = (),
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Take the numbers of `read` from now on; see `publish_statistics`."""
        if isinstance(counters, str):
            raise TypeError(f"counters={counters!r} is one text: pass a collection of names")
        named = dict(labels or {})
        source = _Source(prefix, read, frozenset(counters), named, {})
        with self._lock:
            self._sources[prefix, tuple(sorted(named.items()))] = source

    def publish(self) -> None:
        """Ask everybody for their numbers; who fails is logged and left out from then on."""
        with self._lock:
            for key, source in list(self._sources.items()):
                try:
                    self._take(source)
                except Exception:
                    _log.warning("statistics not readable", prefix=source.prefix, exc_info=True)
                    del self._sources[key]

    def _take(self, source: _Source) -> None:
        for field, number in _list_numbers(source.read()):
            is_counter = field in source.counters
            metric = self._find_metric(source, field, is_counter)
            if source.labels:
                metric = metric.labels(**source.labels)
            if is_counter:
                # The counter goes on where the worker before this one has ended.
                metric.inc(max(0.0, number - source.last.get(field, 0.0)))
                source.last[field] = number
            else:
                metric.set(number)

    def _find_metric(self, source: _Source, field: str, is_counter: bool) -> Any:
        name = f"{source.prefix}_{field}{'_total' if is_counter else ''}"
        metric = self._metrics.get(name)
        if metric is None:
            text = f"{source.prefix.replace('_', ' ').capitalize()}: {field.replace('_', ' ')}."
            options: Any = {} if is_counter else {"multiprocess_mode": "livesum"}
            kind: Any = Counter if is_counter else Gauge
            metric = kind(name, text, tuple(source.labels), registry=self._registry, **options)
            self._metrics[name] = metric
        return metric


def _list_numbers(numbers: Any) -> Iterable[tuple[str, float]]:
    mapping = numbers if isinstance(numbers, Mapping) else numbers._asdict()
    return list(mapping.items())
