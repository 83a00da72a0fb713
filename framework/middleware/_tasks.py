"""Where code runs (task and cancel scope), tasks beside it, and context variables between the two."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from typing import Any

import anyio
from anyio.abc import TaskGroup

# The running task and its innermost cancel scope.
Place = tuple[object, object]


def is_asyncio() -> bool:
    """Say whether this code runs in a task of asyncio; the other backend is trio."""
    # Trio may run as a guest of an asyncio loop, outside of its tasks.
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def find_place() -> Place:
    """Return the running task and its innermost cancel scope; equal places have the same of both.

    Neither anyio nor trio tells the scope by a public name; the tests see it when they rename theirs.
    """
    task: Any
    if is_asyncio():
        task = asyncio.current_task()
        backend: Any = sys.modules.get("anyio._backends._asyncio")
        # Nobody has entered a scope where the backend is not even imported.
        state = None if backend is None else backend._task_states.get(task)  # noqa: SLF001
        return task, None if state is None else state.cancel_scope
    task = sys.modules["trio"].lowlevel.current_task()
    return task, task._cancel_status  # noqa: SLF001


def copy_variables(source: Context) -> None:
    """Set each context variable as it is in `source`."""
    here = copy_context()
    for variable, value in source.items():
        if variable not in here or here[variable] is not value:
            variable.set(value)


class Child:
    """A function that runs beside its maker, on asyncio without a task group; it must not raise."""

    __slots__ = ("done", "func", "is_cancelled", "scope", "task")

    def __init__(self, func: Callable[[], Awaitable[None]], group: TaskGroup | None) -> None:
        self.func = func
        # Made where it is entered: this may be a callback of the event loop, which has no scopes.
        self.scope: anyio.CancelScope | None = None
        self.is_cancelled = False
        self.done = anyio.Event()
        self.task: asyncio.Task[None] | None = None
        if group is not None:
            group.start_soon(self._run)
        else:
            self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            if not self.is_cancelled:
                with anyio.CancelScope() as self.scope:
                    await self.func()
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
