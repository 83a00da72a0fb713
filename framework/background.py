"""Work that starts when the answer has been sent."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, ParamSpec

from framework._callables import get_qualified_name, is_async_callable
from framework.concurrency import background_threads

__all__ = [
    "BackgroundTask",
    "BackgroundTasks",
    "TaskObserver",
    "observe_background_tasks",
    "report_background_task",
]

P = ParamSpec("P")

# Is told of each task that has ended: its name, its seconds, and what it raised or None. Must not raise.
TaskObserver = Callable[[str, float, BaseException | None], None]

# Replaced, never changed: a task may be going through it.
_observers: tuple[TaskObserver, ...] = ()


@contextlib.contextmanager
def observe_background_tasks(observer: TaskObserver) -> Iterator[None]:
    """Tell `observer` of every background task of this process that ends within the block.

    A cancelled task counts as ended; the seconds include the time in which no thread was free.
    """
    global _observers  # noqa: PLW0603 -- the one list of this process
    _observers = (*_observers, observer)
    try:
        yield
    finally:
        remaining = list(_observers)
        remaining.remove(observer)
        _observers = tuple(remaining)


def report_background_task(name: str, seconds: float, error: BaseException | None) -> bool:
    """Tell all observers of a task that has ended; False when there are none."""
    for observer in _observers:
        observer(name, seconds, error)
    return bool(_observers)


class BackgroundTask:
    """One call, sync (in a thread) or async, made after the response."""

    def __init__(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.is_async = is_async_callable(func)

    @functools.cached_property
    def name(self) -> str:
        """Module and name of what is called, for logs and metrics; may be set to another."""
        return get_qualified_name(self.func)

    async def __call__(self) -> None:
        began = perf_counter()
        try:
            if self.is_async:
                await self.func(*self.args, **self.kwargs)
            else:
                await background_threads.run(self.func, *self.args, **self.kwargs)
        except BaseException as exc:
            self._report(began, exc)
            raise
        self._report(began, None)

    def _report(self, began: float, error: BaseException | None) -> None:
        report_background_task(self.name, perf_counter() - began, error)

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
