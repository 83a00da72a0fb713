"""The private folder of a running service: metrics files of the workers, and who uses them."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from typing import Final

from framework.folders import build_private_path, make_private

__all__ = ["RunDirectory"]

_MAX_MASTERS: Final = 8


class RunDirectory:
    """A folder for one service, the same for every master that serves the same address.

    It is in memory where the system has such a place, because metrics are written with each
    request. Each master holds a lock in it, which its workers inherit: the folder is in use as
    long as one of them lives.
    """

    def __init__(self, name: str) -> None:
        safe = re.sub(r"[^A-Za-z0-9.-]+", "_", name)
        self.path = build_private_path(safe)
        self._locks: dict[int, int] = {}

    def claim(self) -> int:
        """Make the folder, or empty one that nobody uses, and take the first free number in it.

        Raises:
            RuntimeError: the folder is not private to this user, or too many masters use it.
        """
        make_private(self.path)
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
