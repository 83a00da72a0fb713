"""What the workers of one master know of each other's start; made before they are forked."""

from __future__ import annotations

import mmap
import os
from typing import Final

__all__ = ["Boot"]

_UP: Final = 0
_FAILURES: Final = 1

_MAX_DELAY_SECONDS: Final = 15.0


class Boot:
    """The first start of a service with `workers` workers.

    Workers are separate processes. What must happen once is decided by who takes a byte out of a
    pipe: the kernel gives each byte to one reader. What all must see is in shared memory.
    """

    def __init__(self, workers: int) -> None:
        # The last byte is 1, so whoever takes it is the last worker to start.
        self._starts = _open_tokens(bytes(workers - 1) + b"\x01")
        self._reports = _open_tokens(b"\x01")
        self._shared = mmap.mmap(-1, 2)

    @property
    def has_been_up(self) -> bool:
        """Whether any worker has ever started."""
        return self._shared[_UP] == 1

    def record_start(self) -> bool:
        """Note that this worker serves; return True for the one that completes the first start."""
        self._shared[_UP] = 1
        self._shared[_FAILURES] = 0
        return _take(self._starts) == b"\x01"

    def claim_report(self) -> bool:
        """Return True for the first worker that asks: of many equal reports one is enough."""
        return _take(self._reports) is not None

    def record_failure(self) -> float:
        """Note that this worker could not start; return how long to wait, in seconds.

        The wait doubles from half a second to 15 with each failure in a row, so that a service
        that has lost its database does not spend its time on starting workers.
        """
        failures: int = min(self._shared[_FAILURES] + 1, 10)
        self._shared[_FAILURES] = failures
        return min(0.5 * 2.0 ** (failures - 1), _MAX_DELAY_SECONDS)


def _open_tokens(tokens: bytes) -> int:
    """Return the reading end of a pipe with `tokens` in it."""
    reader, writer = os.pipe()
    os.write(writer, tokens)
    # Without a writer an empty pipe reads as b"" instead of blocking.
    os.close(writer)
    return reader


def _take(reader: int) -> bytes | None:
    return os.read(reader, 1) or None
