"""When a worker has served long enough."""

from __future__ import annotations

import sys
from typing import Final

from framework.observability.process import read_resident_bytes

__all__ = ["Recycling"]

_SECONDS_BETWEEN_LOOKS: Final = 5


class Recycling:
    """The reasons to replace a worker that does nothing wrong: leaks that nobody has found.

    Args:
        max_requests: replaced after so many; None for never.
        max_rss: replaced when its resident memory is larger than so many bytes; 0 for never.
    """

    __slots__ = ("_max_requests", "_max_rss", "_seconds", "_was_found")

    def __init__(self, max_requests: int | None, max_rss: int) -> None:
        self._max_requests = sys.maxsize if max_requests is None else max_requests
        self._max_rss = max_rss or sys.maxsize
        self._seconds = 0
        self._was_found = False

    def find_reason(self, requests: int) -> str | None:
        """Return why the worker is to be replaced, once. To be asked every second."""
        if self._was_found:
            return None
        reason = None
        self._seconds += 1
        if requests >= self._max_requests:
            reason = f"it has had {requests} requests"
        elif self._seconds % _SECONDS_BETWEEN_LOOKS == 0:
            rss = read_resident_bytes()
            if rss > self._max_rss:
                reason = f"it uses {rss} bytes of memory, more than {self._max_rss}"
        self._was_found = reason is not None
        return reason
