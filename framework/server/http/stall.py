"""Clients that do not take what they asked for, or do not send what they said they would."""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios

__all__ = ["StallWatch", "count_untaken"]


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
        # -1: nothing is due.
        self._waited = -1
        self._moved = 0

    def is_stalled(self, moved: int, *, is_due: bool) -> bool:
        """Count a second. The client has moved `moved` bytes so far, and more are due from it."""
        if not is_due:
            self._waited = -1
            return False
        self._waited += 1
        if self._waited == 0:
            self._moved = moved
        if self._waited < self._seconds:
            return False
        is_slow = moved - self._moved < self._rate * self._seconds
        self._waited, self._moved = 0, moved
        return is_slow


def count_untaken(transport: asyncio.Transport) -> int:
    """Return how many of the bytes that were written a client has not taken; 0 when none wait here.

    Behind the buffer of the transport is the kernel's, of megabytes, which takes more only when a third
    of it is free. A client that reads 10 KB a second empties that much in minutes, so that what it takes
    is seen only where both are counted. Even so it is told in steps of up to 60 KB: who reads less than
    3 KB a second may count as stalled.
    """
    waiting = transport.get_write_buffer_size()
    if waiting == 0:
        return 0
    queued = bytearray(4)
    try:
        fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, queued)
    except (OSError, ValueError):
        return waiting  # the system does not say, or the socket is closed
    return waiting + int.from_bytes(queued, sys.byteorder)
