"""A number that all workers of the machine count up together."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from framework.folders import make_private

__all__ = ["SharedCounter"]


class SharedCounter:
    """A number in a file. Its methods block for the time of a file operation.

    Args:
        path: the file; it is made when it is not there, and its folder too, which nobody else can use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, number: int) -> int:
        """Add to the number and return it. No two processes see the same one after adding 1."""
        make_private(self.path.parent)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # released with the descriptor
            value = int(os.read(descriptor, 32) or 0) + number
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, b"%020d" % value)
        finally:
            os.close(descriptor)
        return value
