"""The private folder of a running service: metrics files of the workers, and who uses them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["RunDirectory"]

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder in it is private and checked
_MAX_MASTERS: Final = 8


class RunDirectory:
    """A folder for one service, the same for every master that serves the same address.

    It is in memory where the system has such a place, because metrics are written with each
    request. Each master holds a lock in it, which its workers inherit: the folder is in use as
    long as one of them lives.
    """

    def __init__(self, name: str) -> None:
        safe = re.sub(r"[^A-Za-z0-9.-]+", "_", name)
        parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
        self.path = parent / f"{safe}-{os.getuid()}"
        self._locks: dict[int, int] = {}

    def claim(self) -> int:
        """Make the folder, or empty one that nobody uses, and take the first free number in it.

        Raises:
            RuntimeError: the folder is not private to this user, or too many masters use it.
        """
        self._create()
        numbers = [number for number in range(_MAX_MASTERS) if self._lock(number)]
        if not numbers:
            raise RuntimeError(
                f"{_MAX_MASTERS} other masters use {str(self.path)!r}: stop those that are left over"
            )
        if len(numbers) == _MAX_MASTERS:
            self._empty()
        for number in numbers[1:]:
            self._unlock(number)
        return numbers[0]

    def release(self) -> None:
        """Give the number back, and remove the folder when nobody else uses it."""
        if all(number in self._locks or self._lock(number) for number in range(_MAX_MASTERS)):
            shutil.rmtree(self.path, ignore_errors=True)
        for number in list(self._locks):
            self._unlock(number)

    def _create(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.path.mkdir(mode=0o700)
        found = self.path.lstat()
        private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
        # APPSEC: in a folder that all users share, another one may have made it first.
        if not private or found.st_uid != os.getuid():
            raise RuntimeError(
                f"{str(self.path)!r} is not a folder that only this user can read: remove it"
            )

    def _lock(self, number: int) -> bool:
        lock = os.open(self.path / f"master-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._locks[number] = lock
        return True

    def _unlock(self, number: int) -> None:
        os.close(self._locks.pop(number))

    def _empty(self) -> None:
        for file in self.path.iterdir():
            if file.suffix != ".lock":
                file.unlink()
