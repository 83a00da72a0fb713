"""Requests at a constant rate, whatever becomes of them."""

from __future__ import annotations

import asyncio
import collections
import math
import time
from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple, Self

from tests.drills.client import Client, ExchangeFailed


class Sample(NamedTuple):
    """One request.

    Args:
        due_at: when it was to start; time.monotonic().
        seconds: from then to the whole answer, or to the failure.
        status: of the answer; 0 when there was none.
        failure: why it counts as failed; empty when it does not.
        worker: the process that has answered, or that the connection was known to lead to.
    """

    due_at: float
    seconds: float
    status: int
    failure: str
    worker: str


class Load:
    """An open loop: requests start when they are due, not when the ones before them are answered.

    A latency counts from the moment the request was due, so that a stall shows in all that had to
    wait for it. Use as an asynchronous context manager; its end waits for the last answers.

    Args:
        client: whom to ask.
        rate: requests a second.
        path: what to ask for.
        fresh_every: each one of so many opens a connection of its own; the others keep theirs.
        allowed: statuses besides 200 that are no failure.
    """

    def __init__(
        self,
        client: Client,
        rate: float,
        path: str = "/",
        *,
        fresh_every: int = 3,
        allowed: Iterable[int] = (),
    ) -> None:
        self.client = client
        self.rate = rate
        self.path = path
        self.fresh_every = fresh_every
        self.allowed = frozenset({200, *allowed})
        self.samples: list[Sample] = []
        self.lag = 0.0
        """Seconds by which the start of a request was late, at worst: the fault of this process."""
        self._ticker: asyncio.Task[None] | None = None
        self._requests: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._ticker = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._ticker is not None
        self._ticker.cancel()
        await asyncio.gather(self._ticker, return_exceptions=True)
        await asyncio.gather(*self._requests)
        self.client.close()

    @property
    def failed(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.failure]

    def describe(self) -> str:
        """Say how many failed, in which ways, how long the others took, and how late they began."""
        text = f"{len(self.failed)} of {len(self.samples)} failed"
        if self.failed:
            kinds = collections.Counter(sample.failure for sample in self.failed)
            text += f" ({', '.join(f'{count} {kind}' for kind, count in kinds.most_common())})"
        return f"{text}, {describe_latency(self.samples)}, late {self.lag * 1000:.0f} ms"

    async def _tick(self) -> None:
        due_at = time.monotonic()
        number = 0
        while True:
            due_at += 1 / self.rate
            number += 1
            wait = due_at - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self.lag = max(self.lag, time.monotonic() - due_at)
            task = asyncio.create_task(self._ask(due_at, fresh=number % self.fresh_every == 0))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _ask(self, due_at: float, *, fresh: bool) -> None:
        status, worker = 0, ""
        try:
            answer = await self.client.fetch(self.path, fresh=fresh)
        except ExchangeFailed as exc:
            failure, worker = exc.kind, exc.worker
        else:
            status, worker = answer.status, answer.fields.get("x-worker", "")
            failure = "" if status in self.allowed else f"status {status}"
        seconds = time.monotonic() - due_at
        self.samples.append(Sample(due_at, seconds, status, failure, worker))


def find_percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that `share` of all do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)] if ordered else math.nan


def measure_p99(samples: Iterable[Sample], status: int = 200) -> float:
    """Return the 99th percentile of the seconds of those with a status."""
    return find_percentile((each.seconds for each in samples if each.status == status), 0.99)


def describe_latency(samples: Iterable[Sample]) -> str:
    """Return median, 99th percentile and maximum of the answers that are right."""
    seconds = [sample.seconds for sample in samples if sample.status == 200]
    if not seconds:
        return "none answered"
    half, most = find_percentile(seconds, 0.5), find_percentile(seconds, 0.99)
    return f"p50 {half * 1000:.0f} ms, p99 {most * 1000:.0f} ms, max {max(seconds) * 1000:.0f} ms"
