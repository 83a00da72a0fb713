"""Blocking code beside the event loop: threads that carry the caller's context variables.

Endpoints, files and background work each have a limit of their own, so that one of them with all its
threads busy never holds up the others. The limits count in each event loop.
"""

from __future__ import annotations

import functools
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterable, Iterator
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from framework._defaults import MAX_BACKGROUND_THREADS, MAX_ENDPOINT_THREADS, MAX_FILE_THREADS
from framework.exceptions import StarletteDeprecationWarning

__all__ = [
    "ThreadPool",
    "ThreadStatistics",
    "background_threads",
    "endpoint_threads",
    "file_threads",
    "iterate_in_threadpool",
    "list_thread_pools",
    "run_in_threadpool",
    "run_until_first_complete",
]

P = ParamSpec("P")
T = TypeVar("T")

_END: Any = object()

# The total of anyio's own limiter as long as nobody has set another.
_ANYIO_TOTAL: Final = 40


class ThreadStatistics(NamedTuple):
    """Threads of one kind, over all event loops of this process.

    `limit` is how many there may be, `used` how many are busy, `waiting` how many calls have none.
    """

    limit: float
    used: int
    waiting: int


class ThreadPool:
    """Threads for one kind of blocking work, at most `limit` at a time in each event loop.

    Args:
        name: what the threads are for.
        limit: threads in each event loop.
    """

    __slots__ = ("__weakref__", "_limit", "_limiter", "_limiters", "_lock", "name")

    def __init__(self, name: str, limit: int) -> None:
        self.name = name
        self._limit = check_limit(name, limit)
        self._limiter: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar(
            f"framework.threads.{name}"
        )
        self._limiters: weakref.WeakSet[anyio.CapacityLimiter] = weakref.WeakSet()
        self._lock = threading.Lock()
        _pools.add(self)

    @property
    def limit(self) -> int:
        """Threads in each event loop.

        Set it where the application is made, for the loops to come, or in its lifespan or an async
        endpoint, for the running loop too. Raises `ValueError` for less than one.
        """
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = check_limit(self.name, limit)
        try:
            self.limiter.total_tokens = limit
        except RuntimeError:
            return  # no loop runs here: those to come begin with it

    @property
    def limiter(self) -> anyio.CapacityLimiter:
        """The limiter of the running event loop, to hand to `anyio.to_thread.run_sync`."""
        try:
            return self._limiter.get()
        except LookupError:
            limiter = self._make_limiter()
        self._limiter.set(limiter)
        with self._lock:
            self._limiters.add(limiter)
        return limiter

    async def run(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call `func` in one of these threads and return its result; context variables are copied in."""
        call: Any = functools.partial(func, **kwargs) if kwargs else func
        result: T = await anyio.to_thread.run_sync(call, *args, limiter=self.limiter)
        return result

    def statistics(self) -> ThreadStatistics:
        """Count the threads; may be called from any thread."""
        with self._lock:
            limiters = list(self._limiters)
        return ThreadStatistics(
            sum(limiter.total_tokens for limiter in limiters) or self._limit,
            sum(limiter.borrowed_tokens for limiter in limiters),
            sum(limiter.statistics().tasks_waiting for limiter in limiters),
        )

    def _make_limiter(self) -> anyio.CapacityLimiter:
        return anyio.CapacityLimiter(self._limit)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, limit={self._limit!r})"


class _EndpointThreads(ThreadPool):
    """Shares anyio's own limiter: applications written for Starlette set their limit on that one."""

    __slots__ = ()

    def _make_limiter(self) -> anyio.CapacityLimiter:
        limiter = anyio.to_thread.current_default_thread_limiter()
        if limiter.total_tokens == _ANYIO_TOTAL:
            limiter.total_tokens = self._limit
        return limiter


_pools: Final[weakref.WeakSet[ThreadPool]] = weakref.WeakSet()


def list_thread_pools() -> list[ThreadPool]:
    """Return all pools of this process, for metrics."""
    return list(_pools)


def check_limit(name: str, limit: int) -> int:
    """Return a usable number of threads; raise `ValueError` for any other."""
    if limit < 1:
        raise ValueError(f"limit={limit!r} of the {name} threads must be at least 1")
    return limit


endpoint_threads: Final[ThreadPool] = _EndpointThreads("endpoints", MAX_ENDPOINT_THREADS)
file_threads: Final = ThreadPool("files", MAX_FILE_THREADS)
background_threads: Final = ThreadPool("background", MAX_BACKGROUND_THREADS)


async def run_in_threadpool(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `func` in an endpoint thread and return its result; context variables are copied in."""
    return await endpoint_threads.run(func, *args, **kwargs)


async def iterate_in_threadpool(iterator: Iterable[T]) -> AsyncIterator[T]:
    """Iterate over a blocking iterable, each step in an endpoint thread.

    A generator that is not iterated to its end is closed, in a thread too.
    """
    steps = _Steps(iterator)
    try:
        while (item := await endpoint_threads.run(steps.take)) is not _END:
            yield item
    except BaseException:
        if steps.is_generator:
            with anyio.CancelScope(shield=True):
                await endpoint_threads.run(steps.close)
        raise


class _Steps:
    """An iterator that several threads may use, one after another.

    A task that asyncio itself cancels does not wait for its thread, so a generator may still be
    running when it is to be closed.
    """

    __slots__ = ("_iterator", "_lock")

    def __init__(self, iterable: Iterable[Any]) -> None:
        self._iterator: Iterator[Any] = iter(iterable)
        self._lock = threading.Lock()

    @property
    def is_generator(self) -> bool:
        return isinstance(self._iterator, Generator)

    def take(self) -> Any:
        # With a default, since StopIteration must not travel through a future.
        with self._lock:
            return next(self._iterator, _END)

    def close(self) -> None:
        with self._lock:
            self._iterator.close()  # type: ignore[attr-defined]


async def run_until_first_complete(
    *args: tuple[Callable[..., Coroutine[Any, Any, Any]], dict[str, Any]],
) -> None:
    """Run coroutine functions with their keyword arguments at once; the first to end cancels the rest.

    Deprecated, as in Starlette: use a task group.
    """
    warnings.warn(
        "run_until_first_complete is deprecated: use a task group",
        StarletteDeprecationWarning,
        stacklevel=2,
    )
    async with anyio.create_task_group() as tasks:
        for func, kwargs in args:
            tasks.start_soon(_run_then_cancel, func, kwargs, tasks.cancel_scope)


async def _run_then_cancel(
    func: Callable[..., Coroutine[Any, Any, Any]],
    kwargs: dict[str, Any],
    cancel_scope: anyio.CancelScope,
) -> None:
    await func(**kwargs)
    cancel_scope.cancel()
