"""Blocking code beside the event loop: threads that carry the caller's context variables."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

import anyio
import anyio.to_thread

__all__ = ["iterate_in_threadpool", "run_in_threadpool", "run_until_first_complete"]

P = ParamSpec("P")
T = TypeVar("T")

_END: Any = object()


async def run_in_threadpool(func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `func` in a worker thread and return its result; context variables are copied in."""
    if kwargs:
        return await anyio.to_thread.run_sync(functools.partial(func, *args, **kwargs))
    return await anyio.to_thread.run_sync(func, *args)


async def iterate_in_threadpool(iterator: Iterable[T]) -> AsyncIterator[T]:
    """Iterate over a blocking iterable, each step in a worker thread."""
    steps: Iterator[T] = iter(iterator)
    while True:
        # next() with a default: StopIteration must not travel through a future.
        item = await anyio.to_thread.run_sync(next, steps, _END)
        if item is _END:
            return
        yield item


async def run_until_first_complete(
    *args: tuple[Callable[..., Coroutine[Any, Any, Any]], dict[str, Any]],
) -> None:
    """Run coroutine functions with their keyword arguments at once; the first to end cancels the rest."""
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
