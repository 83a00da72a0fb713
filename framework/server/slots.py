"""Numbers for workers that outlive their pids.

A worker that replaces a dead one takes its number over, and no two that live have the same. Metrics are
kept in files named after it. Of N workers the numbers are 0 to N-1, and N where one is started before
another is stopped (a reload, a recycling): N live workers have N of these N+1 numbers, and the files stay
as few, however often workers come and go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["SLOTS_PER_MASTER", "find_free_slot"]

SLOTS_PER_MASTER: Final = 1000
"""Where the slots of a second master begin; two run side by side while SIGUSR2 upgrades."""


def find_free_slot(used: Iterable[int], *, first: int = 0, vacated: Iterable[int] = ()) -> int:
    """Return a number that is not in `used`.

    It is one of those in `vacated`, whose workers have died, else the lowest from `first` on. During a
    reload old and new workers overlap: the first new one has the number that nobody has, each of the next
    that of an old one that is gone.
    """
    taken = frozenset(used)
    for slot in vacated:
        if slot not in taken:
            return slot
    slot = first
    while slot in taken:
        slot += 1
    return slot
