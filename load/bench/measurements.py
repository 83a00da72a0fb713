"""What a measuring process measures: a row that is run batch by batch."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

WARM_UP_SECONDS: Final = 0.05


class Measurement(Protocol):
    """One row of a suite, bound to its application."""

    async def run(self, seconds: float) -> float:
        """Measure for about that long and return the figure: as a rule, µs of one time."""
        ...


class Batches:
    """Something that is done many times, with the size of a batch learnt while warming up.

    `time(number)` does it `number` times and returns the nanoseconds that they took.
    """

    __slots__ = ("least", "time", "us_estimate")

    def __init__(self, time: Callable[[int], Awaitable[int]], *, least: int = 5) -> None:
        self.time = time
        self.least = least
        self.us_estimate = 50.0

    async def warm_up(self, seconds: float = WARM_UP_SECONDS) -> None:
        """Run long enough for caches to fill and for a good guess of the time of one."""
        for share in (0, seconds / 2, seconds / 2):  # the smallest batch first: it may take long
            self.us_estimate = max(await self.run(share), 0.05)

    async def run(self, seconds: float) -> float:
        """Time a batch that should last `seconds`; return the µs of one time."""
        number = max(self.least, int(seconds * 1e6 / (self.us_estimate + 0.5)))
        gc.collect()
        return await self.time(number) / number / 1e3


@dataclass(slots=True)
class Prepared:
    """What a suite has built for one subject.

    Attributes:
        versions: what it runs on, by name.
        measurements: the rows, by name.
        every: rows that take so long that only each n-th round has them.
    """

    versions: dict[str, str]
    measurements: dict[str, Measurement] = field(default_factory=dict)
    every: dict[str, int] = field(default_factory=dict)
