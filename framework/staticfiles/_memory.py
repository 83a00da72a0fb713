"""Small files in memory: bounded, and looked at again soon enough to notice every change."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from typing import Final

from framework._defaults import (
    MAX_STATIC_CACHE_FILES,
    STATIC_FRESH_SECONDS,
    STATIC_SETTLED_SECONDS,
)
from framework.staticfiles._found import Found

_NANOSECONDS: Final = 1_000_000_000


class Entry:
    """A file in memory, and when to look at the one on disk again."""

    __slots__ = ("due", "found", "size")

    def __init__(self, found: Found, size: int, looked: float) -> None:
        self.found = found
        self.size = size
        self.due = looked + STATIC_FRESH_SECONDS

    def is_due(self) -> bool:
        """Say whether the caller has to look at the file on disk; others use the entry meanwhile."""
        now = time.monotonic()
        if now < self.due:
            return False
        self.due = now + STATIC_FRESH_SECONDS
        return True


class FileMemory:
    """Files by what was asked for; when it is full, those go that were not confirmed for longest.

    A file is kept when it has not changed for a moment (`STATIC_SETTLED_SECONDS`): two changes within
    one tick of the clock of the file system look like one, and a file that is being written is none.
    Any thread may use it.

    Args:
        limit: bytes of content to keep; 0 keeps nothing.
    """

    __slots__ = ("_entries", "_lock", "limit", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._entries: dict[Hashable, Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable) -> Entry | None:
        """Return the entry, which may be due for a look at the disk."""
        return self._entries.get(key)

    def put(self, key: Hashable, found: Found, looked: float) -> None:
        """Keep a file, if it can be kept.

        Args:
            looked: when the file on disk was looked at, in seconds of the monotonic clock.
        """
        held = found.path.held
        size = found.stat_result.st_size
        with self._lock:
            self._drop(key)
            if held is None or not held.is_in_memory or size > self.limit:
                return
            if not is_settled(found):
                return
            self._entries[key] = Entry(found, size, looked)
            self.size += size
            while self.size > self.limit or len(self._entries) > MAX_STATIC_CACHE_FILES:
                self._drop(next(iter(self._entries)))

    def drop(self, key: Hashable) -> None:
        """Forget a file that is not there any more."""
        with self._lock:
            self._drop(key)

    def _drop(self, key: Hashable) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size -= entry.size


def is_settled(found: Found) -> bool:
    """Say whether the last change of a file is long enough ago."""
    result = found.stat_result
    changed = max(result.st_mtime_ns, result.st_ctime_ns)
    return time.time_ns() - changed >= STATIC_SETTLED_SECONDS * _NANOSECONDS
