"""Numbers for workers that outlive their pids.

A worker that replaces a dead one takes its number over. Metrics are kept in files named after it,
so the files stay as many as there are workers, however often workers come and go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["SLOTS_PER_MASTER", "find_free_slot"]

SLOTS_PER_MASTER: Final = 1000
"""Where the slots of a second master begin; two run side by side while SIGUSR2 upgrades."""


def find_free_slot(used: Iterable[int], *, first: int = 0) -> int:
    """Return the lowest number from `first` on that is not in `used`.

    During a reload old and new workers overlap: the new ones then have numbers above those of
    the old, which are free again for the next.
    """
    taken = frozenset(used)
    slot = first
    while slot in taken:
        slot += 1
    return slot
