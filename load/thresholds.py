"""What a load test promises, and which promises a run has broken. Pure: no locust in here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_GENERATOR_CPU: Final = 0.9
"""The share of one core above which the generator measures itself more than the service."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of a run; requests a second are over all endpoints, the rest is for each."""

    max_failures: int = 0
    max_p95_ms: float = 500.0
    min_rps: float = 0.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What was measured at one endpoint; times in milliseconds."""

    name: str
    requests: int
    failures: int
    median_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was measured in a whole run.

    `errors` are the failures by message, with the endpoint and how often; `crashes` are exceptions
    of the scenarios themselves.
    """

    endpoints: Sequence[Endpoint]
    errors: Sequence[tuple[str, str, int]]
    crashes: Sequence[str]
    seconds: float
    generator_cpu: float

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(endpoint.requests for endpoint in self.endpoints)

    @property
    def failures(self) -> int:
        """All failed requests."""
        return sum(endpoint.failures for endpoint in self.endpoints)

    @property
    def rps(self) -> float:
        """Requests a second over all endpoints."""
        return self.requests / self.seconds


def find_problems(outcome: Outcome, thresholds: Thresholds) -> Iterator[str]:
    """Yield one line for each broken promise."""
    if not outcome.requests:
        yield "no request was made"
    if outcome.failures > thresholds.max_failures:
        yield f"{outcome.failures} requests failed (at most {thresholds.max_failures} may)"
        for name, message, count in outcome.errors:
            yield f"  {count}x {name}: {message}"
    for crash in outcome.crashes:
        yield f"a scenario raised an exception: {crash}"
    for endpoint in outcome.endpoints:
        if endpoint.p95_ms > thresholds.max_p95_ms:
            limit = f"(at most {thresholds.max_p95_ms:g} ms)"
            yield f"{endpoint.name}: 95 % of requests took up to {endpoint.p95_ms:g} ms {limit}"
    if outcome.rps < thresholds.min_rps:
        yield f"{outcome.rps:.1f} requests a second (at least {thresholds.min_rps:g})"
    if outcome.generator_cpu > MAX_GENERATOR_CPU:
        yield (
            f"the load generator used {outcome.generator_cpu:.0%} of its core: its times are not to "
            "be believed, take fewer users"
        )


def format_outcome(outcome: Outcome) -> str:
    """Write the run as a table with one line an endpoint."""
    width = max((len(endpoint.name) for endpoint in outcome.endpoints), default=8)
    lines = [f"{'endpoint':<{width}}  requests  failures  median    p95    max  (ms)"]
    for e in outcome.endpoints:
        times = f"{e.median_ms:>6.0f} {e.p95_ms:>6.0f} {e.max_ms:>6.0f}"
        lines.append(f"{e.name:<{width}}  {e.requests:>8}  {e.failures:>8}  {times}")
    lines.append(
        f"{outcome.requests} requests in {outcome.seconds:.1f} s: {outcome.rps:.1f} a second; "
        f"the generator used {outcome.generator_cpu:.0%} of its core"
    )
    return "\n".join(lines)
