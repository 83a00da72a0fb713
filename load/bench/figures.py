"""From samples to figures: medians, spreads, paired ratios, and the verdict on the bars."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from load.bench.cases import LARGE, OWN_LARGE, OWN_SMALL, SMALL
from load.bench.controller import BARE, OWN, PEERS, Results

KINDS: Final = ("text", "json", "params")
PEER_BAR: Final = 0.6
SCALING_BAR: Final = 1.2
FAILURE_BAR: Final = 1.5


@dataclass(frozen=True, slots=True)
class Figure:
    """One framework on one case: µs a request, median and the quartiles around it."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """The interquartile range in µs."""
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class Bar:
    """A promise, its limit, and what was measured: a ratio unless `unit` names another thing."""

    promise: str
    limit: float
    value: float
    unit: str = "x"
    is_minimum: bool = False

    @property
    def is_met(self) -> bool:
        """Whether the value is within the limit."""
        return self.value >= self.limit if self.is_minimum else self.value <= self.limit


def summarise(samples: Sequence[float]) -> Figure:
    """Reduce the rounds of one framework on one case."""
    if len(samples) < 2:
        return Figure(samples[0], samples[0], samples[0])
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Figure(median, low, high)


def pair(samples: Sequence[float], reference: Sequence[float]) -> float:
    """Return the median of the ratios round by round.

    Both sides of a round ran within the same second, so a slow moment of the machine cancels out.
    """
    return statistics.median(a / b for a, b in zip(samples, reference, strict=True))


def find_fastest_peer(results: Results, case: str) -> str | None:
    """Return the peer with the lowest median on a case, None when no peer was measured."""
    present = [peer for peer in PEERS if case in results.samples.get(peer, {})]
    if not present:
        return None
    return min(present, key=lambda peer: summarise(results.samples[peer][case]).median)


def judge(results: Results) -> list[Bar]:
    """Compare our framework with every promise that this run can speak about."""
    if OWN not in results.samples:
        return []
    return [*_judge_peers(results), *_judge_scaling(results), *_judge_failures(results)]


def _judge_peers(results: Results) -> Iterator[Bar]:
    own = results.samples[OWN]
    for case in [f"{kind}, {SMALL}" for kind in KINDS] + [
        f"{kind}, {LARGE} last" for kind in KINDS
    ]:
        peer = find_fastest_peer(results, case)
        if peer is not None:
            ratio = pair(own[case], results.samples[peer][case])
            yield Bar(f"{case}: against {peer}, the fastest peer", PEER_BAR, ratio)


def _judge_scaling(results: Results) -> Iterator[Bar]:
    own = results.samples[OWN]
    for kind in KINDS:
        ratio = pair(own[f"{kind}, {OWN_LARGE} last"], own[f"{kind}, {OWN_SMALL} first"])
        promise = f"{kind}: last of {OWN_LARGE} routes against first of {OWN_SMALL}"
        yield Bar(promise, SCALING_BAR, ratio)


def _judge_failures(results: Results) -> Iterator[Bar]:
    own = results.samples[OWN]
    for size in (OWN_SMALL, OWN_LARGE):
        position = "first" if size == OWN_SMALL else "last"
        # Each against the hit it resembles: the miss walks as deep as the route with parameters,
        # the wrong method is refused by the static route.
        for failure, kind in (("miss", "params"), ("wrong method", "text")):
            ratio = pair(own[f"{failure}, {size}"], own[f"{kind}, {size} {position}"])
            yield Bar(f"{failure} against a {kind} hit, {size} routes", FAILURE_BAR, ratio)


def ratio_to_bare(results: Results, framework: str, case: str) -> float | None:
    """Return how many times the bare callable's cost a framework has on a case."""
    bare = results.samples.get(BARE, {}).get(case)
    return None if bare is None else pair(results.samples[framework][case], bare)
