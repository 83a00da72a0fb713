"""What a drill has found: figures on one line, and the bars it did not reach."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from pathlib import Path


class Report:
    """One drill in the making.

    Args:
        name: of the drill.
        folder: for what its processes leave; empty.
        stock: it is to run with the stock worker.
    """

    def __init__(self, name: str, folder: Path, *, stock: bool) -> None:
        self.name = name
        self.folder = folder
        self.stock = stock
        self.figures: list[str] = []
        self.problems: list[str] = []
        self._begun_at = time.monotonic()

    def note(self, figure: str) -> None:
        """Put a figure on the line."""
        self.figures.append(figure)

    def expect(self, condition: object, bar: str) -> None:
        """Hold the drill to a bar, given as the sentence that has to be true."""
        if not condition:
            self.problems.append(bar)

    def format(self) -> str:
        """Return the line, and one more for each bar that was not reached."""
        verdict = "FAIL" if self.problems else "pass"
        seconds = time.monotonic() - self._begun_at
        first = f"{verdict}  {self.name:<12} {seconds:5.1f} s  {'; '.join(self.figures)}"
        return "\n".join([first, *(f"      not so: {problem}" for problem in self.problems)])


Drill = Callable[[Report], Awaitable[None]]
