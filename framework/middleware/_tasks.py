"""Where code runs (task, cancel scope, context), coroutines stepped by hand, and tasks beside."""

from __future__ import annotations

import asyncio
import functools
import gc
import sys
import types
import weakref
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar
from typing import Any

import anyio
from anyio._backends._asyncio import _task_states
from anyio.abc import TaskGroup

# By weak reference, the tasks of asyncio that have, or had, a cancel scope of anyio. PERF: as a rule it
# is empty, and then nobody needs to know which task this is.
SCOPES: Any = _task_states.data  # type: ignore[attr-defined]  # of every weak dict

NO_REQUEST: Any = object()

_PROBE: ContextVar[None] = ContextVar("_PROBE")


def is_trio() -> bool:
    """Say whether this code runs in a task of trio; the other backend is asyncio."""
    trio: Any = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


def find_task() -> Any:
    """Return a weak reference to the running task of asyncio."""
    return weakref.ref(asyncio.current_task())


def find_scope(task: Any) -> object:
    """Return the innermost cancel scope of a task (`find_task`), None without one; None is trio's task.

    Neither anyio nor trio tells it by a public name; the tests see it when they rename theirs.
    """
    if task is None:
        return sys.modules["trio"].lowlevel.current_task()._cancel_status  # noqa: SLF001
    state = SCOPES.get(task)
    return None if state is None else state.cancel_scope


def find_context() -> Context:
    """Return the very context that is in force, not a copy: only in this one its tokens are valid.

    Python tells it by no public name (`Task.get_context` comes with 3.12 and is that of the task, not
    of what runs in it), but a token refers to it.
    """
    token = _PROBE.set(None)
    context = next(each for each in gc.get_referents(token) if isinstance(each, Context))
    _PROBE.reset(token)
    return context


async def wait_for(awaitable: Any) -> Any:
    """Return the result of an awaitable, as a coroutine, which can be stepped by hand."""
    return await awaitable


@types.coroutine
def advance(
    coroutine: Any,
    value: object = None,
    *,
    request: Any = NO_REQUEST,
    context: Context | None = None,
) -> Generator[Any, Any, Any]:
    """Run a coroutine from where it stands to its end, and return its result.

    What it yields to the event loop on the way is handed on as it is: it runs in this task. `request` is
    what it has yielded already; without one it is to get `value`.
    """
    send = coroutine.send
    throw = coroutine.throw
    if context is not None:
        send = functools.partial(context.run, send)
        throw = functools.partial(context.run, throw)
    try:
        if request is NO_REQUEST:
            request = throw(value) if isinstance(value, BaseException) else send(value)
        while True:
            try:
                answer = yield request
            except BaseException as exc:
                request = throw(exc)
            else:
                request = send(answer)
    except StopIteration as stop:
        return stop.value


class Child:
    """A function that runs beside its maker, on asyncio without a task group; it must not raise."""

    __slots__ = ("context", "done", "func", "is_cancelled", "scope", "task")

    def __init__(
        self,
        func: Callable[[], Coroutine[Any, Any, None]],
        context: Context,
        group: TaskGroup | None,
    ) -> None:
        self.func = func
        self.context = context
        # Made where it is entered.
        self.scope: anyio.CancelScope | None = None
        self.is_cancelled = False
        self.done = anyio.Event()
        self.task: asyncio.Task[None] | None = None
        if group is not None:
            group.start_soon(self._run)
        else:
            # Not by a task factory: an eager one would run it at once, inside of the same context.
            self.task = asyncio.Task(self._run(), loop=asyncio.get_running_loop())

    async def _run(self) -> None:
        try:
            if not self.is_cancelled:
                with anyio.CancelScope() as self.scope:
                    await advance(self.func(), context=self.context)
        finally:
            self.done.set()

    async def end(self) -> None:
        """Cancel what still runs and wait for it."""
        if not self.done.is_set():
            self.is_cancelled = True
            if self.scope is not None:
                self.scope.cancel()
            with anyio.CancelScope(shield=True):
                await self.done.wait()
