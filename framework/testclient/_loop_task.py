"""A call beside its caller in the same event loop."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final

import anyio
import anyio.lowlevel

# Event loops refer to their tasks weakly: what a test abandons runs until its loop ends it.
_running: Final[set[LoopTask]] = set()


class LoopTask:
    """Runs a coroutine function in a task that belongs to no task group; keeps what it raises.

    A task group would have to be left by the task that entered it. Fixtures of some test runners
    are set up and torn down by different tasks, and responses are closed in any order.
    """

    __slots__ = ("_ended", "_main", "_task", "error")

    def __init__(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._main = main
        self._ended = anyio.Event()
        self.error: BaseException | None = None
        loop = anyio.lowlevel.current_token().native_token
        if isinstance(loop, asyncio.AbstractEventLoop):
            self._task: Any = loop.create_task(self._run())
        else:
            # Whoever runs on trio has imported it; the client does not depend on it.
            spawn: Any = sys.modules["trio"].lowlevel.spawn_system_task
            self._task = spawn(self._run, context=contextvars.copy_context())
        _running.add(self)

    async def _run(self) -> None:
        try:
            await self._main()
        except BaseException as exc:
            self.error = exc
            if isinstance(exc, anyio.get_cancelled_exc_class()):
                raise  # the loop ends
        finally:
            _running.discard(self)
            self._ended.set()

    @property
    def has_ended(self) -> bool:
        """Say whether the call has ended."""
        return self._ended.is_set()

    async def join(self) -> BaseException | None:
        """Wait for the end of the call; return what it raised."""
        await self._ended.wait()
        return self.error
