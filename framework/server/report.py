"""What a worker tells its master, in memory that both share."""

from __future__ import annotations

import contextlib
import mmap
import os
import signal
from typing import Final

__all__ = ["WorkerReport"]

_SERVES: Final = 0
_WANTS_REPLACEMENT: Final = 1


class WorkerReport:
    """Two facts about a worker; made before it is forked, written by it, read by the master."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 2)

    @property
    def serves(self) -> bool:
        """Whether the worker takes requests."""
        return self._shared[_SERVES] == 1

    @property
    def wants_replacement(self) -> bool:
        """Whether the worker has served long enough."""
        return self._shared[_WANTS_REPLACEMENT] == 1

    def say_serving(self) -> None:
        """Tell the master that this worker takes requests."""
        self._say(_SERVES)

    def ask_for_replacement(self) -> None:
        """Ask the master for another worker; this one serves until it is told to stop."""
        self._say(_WANTS_REPLACEMENT)

    def _say(self, fact: int) -> None:
        self._shared[fact] = 1
        # The master looks whenever a signal arrives, and this one means nothing else to it here.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(os.getppid(), signal.SIGCHLD)
