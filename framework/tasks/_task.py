"""One call of a task: its attempts, its time limit and the context it came from."""

from __future__ import annotations

import contextvars
import functools
import logging
import math
import random
import threading
from collections.abc import Callable
from types import CoroutineType
from typing import Any

import anyio
import anyio.to_thread

from framework._callables import is_async_callable
from framework._defaults import MAX_TASK_RETRY_SECONDS, TASK_RETRY_SECONDS
from framework.concurrency import background_threads

__all__ = ["OneAtATime", "Task", "check_options"]

_logger = logging.getLogger("framework.tasks")


class OneAtATime:
    """A sync function that is not called while an earlier call still runs.

    A thread that has taken too long cannot be stopped: without this another one would join it each time.
    """

    __slots__ = ("_func", "_lock")

    def __init__(self, func: Callable[..., Any]) -> None:
        self._func = func
        self._lock = threading.Lock()

    def __call__(self, *args: Any) -> Any:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("the call before it took too long, and its thread still runs")
        try:
            return self._func(*args)
        finally:
            self._lock.release()


class Task:
    """A function with its arguments, to be called until it succeeds or its attempts are used up.

    It runs in a copy of the context in which it was made, so its log lines have the id of the request
    that started it.
    """

    __slots__ = ("_call", "_is_async", "context", "ended", "name", "retries", "timeout")

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        retries: int,
        timeout: float | None,
    ) -> None:
        self.name = name
        self.retries = retries
        self.timeout = timeout
        self.context = contextvars.copy_context()
        self.ended: anyio.Event | None = None
        self._is_async = is_async_callable(func)
        if retries and not self._is_async:
            func = OneAtATime(func)
        self._call = functools.partial(func, *args) if args else func

    async def run(self) -> None:
        """Call the function, again after each failure as long as attempts are left.

        Raises:
            Exception: the failure of the last attempt; `TimeoutError` when it took too long,
                `RuntimeError` when something else than the supervisor has cancelled it.
        """
        for attempt in range(self.retries + 1):
            try:
                with anyio.fail_after(self.timeout):
                    await self._run_once()
            except Exception as exc:
                if attempt == self.retries:
                    raise
                delay = compute_delay(attempt)
                _logger.warning(
                    "Task %r has failed in attempt %d of %d, the next is in %.1f s: %r",
                    self.name,
                    attempt + 1,
                    self.retries + 1,
                    delay,
                    exc,
                )
            else:
                return
            await anyio.sleep(delay)

    async def _run_once(self) -> None:
        try:
            if self._is_async:
                await self._call()
            else:
                # A thread cannot be stopped: it is left alone, so that a shutdown need not wait for it.
                await anyio.to_thread.run_sync(
                    self._call, limiter=background_threads.limiter, abandon_on_cancel=True
                )
        except anyio.get_cancelled_exc_class() as exc:
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # What it waited for was cancelled: a task group would cancel all others, and the application.
            raise RuntimeError("cancelled by what it waited for") from exc


def compute_delay(attempt: int) -> float:
    """Return the seconds to wait after the failure of an attempt, counted from 0.

    It doubles with each attempt. A half of it is random, so that what failed together (a service that
    was away) does not come back together.
    """
    # The exponent is bounded as well: a float has no 2**1024.
    longest = min(TASK_RETRY_SECONDS * 2.0 ** min(attempt, 32), MAX_TASK_RETRY_SECONDS)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - nothing secret hangs on it


def check_options(name: str, func: object, retries: int, timeout: float | None) -> None:
    """Refuse options of a task that make no sense.

    Raises:
        TypeError: `func` cannot be called, as the coroutine that its call has made.
        ValueError: a value is out of its range.
    """
    if not callable(func):
        if isinstance(func, CoroutineType):
            func.close()  # or there is a warning that nobody has awaited it
        kind = type(func).__name__
        raise TypeError(
            f"task {name!r} is of type {kind}: pass the function, its arguments behind it"
        )
    if not name:
        raise ValueError(f"name={name!r} of a task is empty: logs and metrics need one")
    if retries < 0:
        raise ValueError(f"retries={retries!r} of task {name!r} must be at least 0")
    if timeout is not None and timeout <= 0:
        raise ValueError(f"timeout={timeout!r} of task {name!r} must be positive, or None for none")
