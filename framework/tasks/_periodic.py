"""When a periodic task runs, and on which of the workers of a machine."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import anyio

from framework._callables import is_async_callable
from framework._defaults import PERIODIC_TAKEOVER_SECONDS
from framework.concurrency import file_threads
from framework.tasks._lock import ProcessLock
from framework.tasks._task import OneAtATime, Task, check_options

__all__ = ["PeriodicTask"]

# A name is a part of a file name, which has at most 255 bytes.
_MAX_NAME_BYTES: Final = 200

_logger = logging.getLogger("framework.tasks")


class PeriodicTask:
    """A call that is made again and again, with `seconds` from one beginning to the next.

    It never overlaps itself: a run that takes longer than `seconds` delays the next one.
    """

    __slots__ = ("_args", "_func", "_jitter", "_retries", "_seconds", "_timeout", "name")

    def __init__(
        self,
        name: str,
        seconds: float,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        jitter: float,
        retries: int,
        timeout: float | None,
    ) -> None:
        check_options(name, func, retries, timeout)
        if len(quote(name, safe="")) > _MAX_NAME_BYTES:
            raise ValueError(f"name={name!r} of a periodic task is too long to name a file")
        if seconds <= 0:
            raise ValueError(f"seconds={seconds!r} of periodic task {name!r} must be positive")
        if not 0 <= jitter <= 1:
            raise ValueError(f"jitter={jitter!r} of periodic task {name!r} must be from 0 to 1")
        self.name = name
        self._seconds = seconds
        self._func = func if is_async_callable(func) else OneAtATime(func)
        self._args = args
        self._jitter = jitter
        self._retries = retries
        self._timeout = timeout

    async def repeat(
        self,
        start: Callable[[Task], None],
        stopping: anyio.Event,
        folder: str | os.PathLike[str] | None,
    ) -> None:
        """Run until `stopping`, while this process holds the lock of this task in `folder`.

        Args:
            start: begins one run; sets the `ended` of its task when it is over.
            stopping: ends the waiting; a run that has begun is not touched.
            folder: None: there is no other process to agree with.
        """
        # Injective, so that two tasks never share a lock. The suffix keeps it when the folder is emptied.
        lock: ProcessLock | None = None
        if folder is not None:
            lock = ProcessLock(f"{os.fspath(folder)}/periodic-{quote(self.name, safe='')}.lock")
        try:
            while not stopping.is_set():
                try:
                    if lock is None or await file_threads.run(lock.take):
                        await self._repeat_alone(start, stopping, lock)
                    else:
                        await _pause(stopping, PERIODIC_TAKEOVER_SECONDS)
                except OSError as exc:
                    _logger.warning("Periodic task %r cannot use its lock: %s", self.name, exc)
                    await _pause(stopping, max(self._seconds, PERIODIC_TAKEOVER_SECONDS))
        finally:
            if lock is not None:
                lock.release()

    async def _repeat_alone(
        self, start: Callable[[Task], None], stopping: anyio.Event, lock: ProcessLock | None
    ) -> None:
        wait = await self._find_first_wait(lock)
        while True:
            await _pause(stopping, wait + self._seconds * self._jitter * random.random())  # noqa: S311
            if stopping.is_set():
                return
            if lock is not None:
                try:
                    await file_threads.run(lock.note_begin)
                except OSError as exc:
                    # A full disk is no reason not to run, least of all for what makes room on it.
                    _logger.warning(
                        "Periodic task %r cannot note its beginning: %s", self.name, exc
                    )
            began = time.monotonic()
            task = Task(self.name, self._func, self._args, self._retries, self._timeout)
            task.ended = anyio.Event()
            start(task)
            await task.ended.wait()
            wait = max(0.0, began + self._seconds - time.monotonic())

    async def _find_first_wait(self, lock: ProcessLock | None) -> float:
        """Return the seconds until the first run here: what another worker began counts."""
        age = None if lock is None else await file_threads.run(lock.read_age)
        if age is None:
            return 0.0
        return min(max(self._seconds - age, 0.0), self._seconds)


async def _pause(stopping: anyio.Event, seconds: float) -> None:
    with anyio.move_on_after(seconds):
        await stopping.wait()
