"""A lock that one process of a machine holds and that ends with it."""

from __future__ import annotations

import fcntl
import os
import time

__all__ = ["ProcessLock"]

_MAX_NOTE_BYTES = 64


class ProcessLock:
    """An advisory lock on a file (flock(2)): the kernel frees it when its process ends, however it ends.

    The file keeps the time at which its holder last began to work, for the holder after it. All
    methods may block for the time of a file operation.
    """

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Say whether this object holds the lock now.

        Raises:
            OSError: the file cannot be made or opened.
        """
        if self._descriptor is not None:
            return True
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def note_begin(self) -> None:
        """Write down that work begins now."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, repr(time.time()).encode(), 0)

    def read_age(self) -> float | None:
        """Return the seconds since work last began, whoever did it; None when it never has."""
        if self._descriptor is None:
            return None
        try:
            return time.time() - float(os.pread(self._descriptor, _MAX_NOTE_BYTES, 0))
        except ValueError:
            return None  # nothing is written there, or only a part of it
