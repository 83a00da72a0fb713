"""`Counter`, `Gauge` and `Histogram`: the client library's, right with many workers and bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, NoReturn

import prometheus_client
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.mmap_dict import mmap_key

from framework.observability import _cells  # also puts the numbers into files
from framework.observability._labels import OVERFLOW
from framework.observability._limits import MAX_LABEL_SETS

__all__ = ["Counter", "Gauge", "GaugeMode", "Histogram", "count_folded", "has_room"]

GaugeMode = Literal[
    "livesum",
    "livemax",
    "livemin",
    "livemostrecent",
    "liveall",
    "sum",
    "max",
    "min",
    "mostrecent",
    "all",
]
"""How the values of several workers become one; the `live` ones forget workers that are gone."""

# What there is once for each label set, behind the name of the metric.
_SAMPLES: Final = {"counter": "_total", "gauge": "", "histogram": "_sum"}

_folded: Final = prometheus_client.Counter(
    "metrics_folded_total",
    "Observations that were counted in an overflow series, as there were too many label sets.",
    ("metric",),
)


def count_folded(metric: str) -> None:
    """Count an observation of `metric` that has no series of its own."""
    _folded.labels(metric).inc()


def has_room(metric: MetricWrapperBase, values: tuple[str, ...]) -> bool:
    """Say whether a metric may have one more label set, in this worker and in those before it."""
    made, kind = metric._metrics, str(metric._type)  # noqa: SLF001 - nothing public tells
    family, names = metric._name, metric._labelnames  # noqa: SLF001
    if len(made) >= MAX_LABEL_SETS:
        return False
    mode = getattr(metric, "_multiprocess_mode", "")
    key = mmap_key(family, family + _SAMPLES[kind], names, list(values), "").encode()
    return _cells.store.has_room(f"{kind}_{mode}" if mode else kind, key, MAX_LABEL_SETS)


class _Bounded(MetricWrapperBase):
    """Metrics with at most `MAX_LABEL_SETS` label sets in each worker and those before it."""

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Any:
        """Return the series of a label set, or the overflow series when there are too many.

        Take it once, beside the handler, rather than with each observation.

        Raises:
            ValueError: these are not the labels of the metric.
        """
        if self._labelnames and not self._labelvalues:
            named = [labelkwargs.get(name) for name in self._labelnames] if labelkwargs else ()
            values = tuple(map(str, labelvalues or named))
            if values not in self._metrics and not has_room(self, values):
                count_folded(self._name)
                return super().labels(*[OVERFLOW] * len(self._labelnames))
        try:
            return super().labels(*labelvalues, **labelkwargs)
        except ValueError as exc:
            raise ValueError(f"{self._name!r} has the labels {self._labelnames}: {exc}") from None


class Counter(_Bounded, prometheus_client.Counter):
    """A number that only grows, over all workers and those that are gone. Name it `things_total`."""


class Histogram(_Bounded, prometheus_client.Histogram):
    """How many observations are how large. Name it with the unit, `things_seconds`, `things_bytes`."""


class Gauge(_Bounded, prometheus_client.Gauge):
    """A number of the moment.

    Args:
        name: what it is, with the unit: `things`, `things_bytes`.
        documentation: one sentence.
        labelnames: labels, with values from a closed set.
        multiprocess_mode: how the values of several workers become one. `livesum` adds those that live.
        options: those of the client library.

    Raises:
        ValueError: there is no mode, so that each worker that ever lived would be a series.
    """

    def __init__(
        self,
        name: str,
        documentation: str,
        labelnames: Sequence[str] = (),
        *,
        multiprocess_mode: GaugeMode | None = None,
        **options: Any,
    ) -> None:
        if multiprocess_mode is None:
            raise ValueError(
                f"The gauge {name!r} has no multiprocess_mode: say how the values of several workers "
                "become one; 'livesum' adds those of the workers that live, 'livemax' takes the largest"
            )
        super().__init__(
            name, documentation, labelnames, multiprocess_mode=multiprocess_mode, **options
        )

    def set_function(self, f: Callable[[], float]) -> NoReturn:
        """Raise `TypeError`: nobody could call it in a worker from the process that is scraped."""
        raise TypeError(
            f"The gauge {self._name!r} cannot ask a function: give it to publish_statistics()"
        )
