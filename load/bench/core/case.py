"""A case: one row of the table, what builds it and what it promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from load.bench.core.kit import Kit
from load.bench.measurements import Measurement

Unit = Literal["µs", "ms", "MB"]


@dataclass(frozen=True, slots=True)
class Case:
    """One row.

    Attributes:
        name: of the row.
        build: builds the row for one library, checks its answer and warms it up.
        faster: how many times as fast as Starlette it has to be.
        at_most: what it may cost, in its unit.
        added_to: name of the row whose figure is taken off before `at_most` is applied.
        unit: of the figure.
        every: only each n-th round has it, because one sample takes long.
        is_own: nothing in Starlette compares with it.
    """

    name: str
    build: Callable[[Kit], Awaitable[Measurement]]
    faster: float | None = None
    at_most: float | None = None
    added_to: str | None = None
    unit: Unit = "µs"
    every: int = 1
    is_own: bool = False
