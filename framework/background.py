"""Work that starts when the answer has been sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ParamSpec

from framework._callables import is_async_callable
from framework.concurrency import run_in_threadpool

__all__ = ["BackgroundTask", "BackgroundTasks"]

P = ParamSpec("P")


class BackgroundTask:
    """One call, sync (in a thread) or async, made after the response."""

    def __init__(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.is_async = is_async_callable(func)

    async def __call__(self) -> None:
        if self.is_async:
            await self.func(*self.args, **self.kwargs)
        else:
            await run_in_threadpool(self.func, *self.args, **self.kwargs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.func!r})"


class BackgroundTasks(BackgroundTask):
    """Several tasks, run one after another in the order they were added.

    All of them run: a failure does not take the ones behind it along.

    Raises:
        Exception: the failure itself, when one task failed.
        ExceptionGroup: all failures in order, when several failed.
    """

    def __init__(self, tasks: Sequence[BackgroundTask] | None = None) -> None:
        self.tasks = list(tasks) if tasks else []

    def add_task(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Add the call `func(*args, **kwargs)` behind the tasks there are."""
        self.tasks.append(BackgroundTask(func, *args, **kwargs))

    async def __call__(self) -> None:
        failures: list[Exception] = []
        for task in self.tasks:
            try:
                await task()
            except Exception as exc:
                failures.append(exc)
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise ExceptionGroup(f"{len(failures)} background tasks failed", failures)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.tasks!r})"
