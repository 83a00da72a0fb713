"""Clients that do not take what they asked for."""

from __future__ import annotations

__all__ = ["StallWatch"]


class StallWatch:
    """Says when a client has taken too little for too long of what was ready for it.

    Args:
        seconds: how long it may be slow.
        rate: bytes a second that are not slow.
    """

    __slots__ = ("_rate", "_seconds", "_taken", "_waited")

    def __init__(self, seconds: int, rate: int) -> None:
        self._seconds = seconds
        self._rate = rate
        self._waited = 0
        self._taken = 0

    def is_stalled(self, written: int, buffered: int) -> bool:
        """Count a second. `written` bytes were given to the transport, `buffered` of them are there."""
        taken = written - buffered
        if not buffered:
            self._waited, self._taken = 0, taken
            return False
        self._waited += 1
        if self._waited < self._seconds:
            return False
        is_slow = taken - self._taken < self._rate * self._seconds
        self._waited, self._taken = 0, taken
        return is_slow
