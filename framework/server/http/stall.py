"""Clients that do not take what they asked for, or do not send what they said they would."""

from __future__ import annotations

__all__ = ["StallWatch"]


class StallWatch:
    """Says when a client has moved too few bytes for too long.

    Args:
        seconds: how long it may be slow.
        rate: bytes a second that are not slow.
    """

    __slots__ = ("_moved", "_rate", "_seconds", "_waited")

    def __init__(self, seconds: int, rate: int) -> None:
        self._seconds = seconds
        self._rate = rate
        self._waited = 0
        self._moved = 0

    def is_stalled(self, moved: int, *, is_due: bool) -> bool:
        """Count a second. The client has moved `moved` bytes so far, and more are due from it."""
        if not is_due:
            self._waited, self._moved = 0, moved
            return False
        self._waited += 1
        if self._waited < self._seconds:
            return False
        is_slow = moved - self._moved < self._rate * self._seconds
        self._waited, self._moved = 0, moved
        return is_slow
