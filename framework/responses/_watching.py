"""Stop work for a client that has gone, without a task for each response.

What is sent at once needs no watcher, so there is none before the work has waited for the first time,
and on asyncio none before it has taken `DISCONNECT_WATCH_DELAY_SECONDS`: a timer is all it costs.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

import anyio
import anyio.lowlevel

from framework._connection import SHARED_RECEIVE_SCOPE_KEY
from framework._defaults import DISCONNECT_WATCH_DELAY_SECONDS, MAX_WATCHED_BODY_BYTES
from framework.types import Message, Receive, Scope

# Returns when the client has gone.
Watch = Callable[[], Awaitable[None]]


async def run_while_connected(work: Coroutine[Any, Any, None], watch: Watch) -> bool:
    """Run `work` in this task and cancel it as soon as `watch` returns.

    Returns whether the work came to its end. Its exceptions are raised as they are, and so is a
    failure of `watch`, which ends the work.
    """
    loop = _find_asyncio_loop()
    if loop is None:
        return await _run_in_group(work, watch)
    return await _AsyncioWatcher(loop, watch).run(work)


async def wait_for_disconnect(receive: Receive) -> None:
    """Return when the client has gone; what it still sends is read and dropped."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        # A `receive` that never waits must not hold up everybody else.
        await anyio.lowlevel.checkpoint()


def share_receive(scope: Scope, receive: Receive) -> Receive:
    """Return a `receive` for a watcher that takes nothing from a `Request` on the same scope."""
    shared: SharedReceive | None = scope.get(SHARED_RECEIVE_SCOPE_KEY)
    if shared is None or shared.source != receive:
        shared = scope[SHARED_RECEIVE_SCOPE_KEY] = SharedReceive(receive)
    return shared.watch


class SharedReceive:
    """A `receive` that a reader of the body and a watcher have in common; one of them waits at a time.

    What the watcher meets is kept for the reader, up to `MAX_WATCHED_BODY_BYTES`.
    """

    __slots__ = ("_disconnect", "_kept", "_lock", "_read", "_size", "source")

    def __init__(self, source: Receive) -> None:
        self.source = source
        self._kept: deque[Message] = deque()
        self._size = 0
        self._disconnect: Message | None = None
        self._lock = anyio.Lock(fast_acquire=True)
        # Set when something was read, where the watcher waits for that.
        self._read: anyio.Event | None = None

    async def receive(self) -> Message:
        """Return the next message that was not read: for the reader."""
        while not self._kept:
            if self._disconnect is not None:
                return self._disconnect
            async with self._lock:
                if not self._kept and self._disconnect is None:
                    await self._take()
        message = self._kept.popleft()
        self._size -= len(message.get("body", b""))
        if self._read is not None:
            self._read.set()
        return message

    async def watch(self) -> Message:
        """Return the next message that comes, which stays to be read: for the watcher."""
        while self._size > MAX_WATCHED_BODY_BYTES:
            self._read = anyio.Event()
            await self._read.wait()
        async with self._lock:
            return self._disconnect or await self._take()

    async def _take(self) -> Message:
        message = await self.source()
        if message["type"] == "http.disconnect":
            self._disconnect = message
        else:
            self._kept.append(message)
            self._size += len(message.get("body", b""))
        return message


class FirstWait:
    """Awaits a coroutine and calls `on_wait` when it waits for the first time, if ever.

    Whatever the coroutine yields to the event loop is handed on as it is, so it runs in the task that
    awaits this object, in its context and its cancel scopes.
    """

    __slots__ = ("on_wait", "work")

    def __init__(self, work: Coroutine[Any, Any, None], on_wait: Callable[[], object]) -> None:
        self.work = work
        self.on_wait = on_wait

    def __await__(self) -> Generator[Any, Any, None]:
        work = self.work
        try:
            request = work.send(None)
            self.on_wait()
            while True:
                try:
                    answer = yield request
                except BaseException as exc:
                    request = work.throw(exc)
                else:
                    request = work.send(answer)
        except StopIteration:
            return


class _AsyncioWatcher:
    """Watches from a task that is made only for work that takes its time."""

    __slots__ = ("failure", "loop", "scope", "task", "timer", "watch")

    def __init__(self, loop: Any, watch: Watch) -> None:
        self.loop = loop
        self.watch = watch
        self.scope = anyio.CancelScope()
        self.timer: Any = None
        self.task: Any = None
        self.failure: Exception | None = None

    async def run(self, work: Coroutine[Any, Any, None]) -> bool:
        try:
            with self.scope:
                await FirstWait(work, self._set_timer)
        finally:
            if self.timer is not None:
                self.timer.cancel()
            if self.task is not None:
                await self._stop()
        if self.failure is not None:
            raise self.failure
        return not self.scope.cancelled_caught

    def _set_timer(self) -> None:
        self.timer = self.loop.call_later(DISCONNECT_WATCH_DELAY_SECONDS, self._start)

    def _start(self) -> None:
        self.task = self.loop.create_task(self._watch())

    async def _stop(self) -> None:
        ended = anyio.Event()
        self.task.add_done_callback(lambda _: ended.set())
        self.task.cancel()
        with anyio.CancelScope(shield=True):
            await ended.wait()

    async def _watch(self) -> None:
        try:
            await self.watch()
        except Exception as exc:
            self.failure = exc
        self.scope.cancel()


async def _run_in_group(work: Coroutine[Any, Any, None], watch: Watch) -> bool:
    is_complete = False
    try:
        async with anyio.create_task_group() as tasks:
            await FirstWait(
                work, lambda: tasks.start_soon(_cancel_after, watch, tasks.cancel_scope)
            )
            is_complete = True
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        failure = group.exceptions[0]
    else:
        return is_complete
    raise failure  # bare: that is what callers expect


async def _cancel_after(watch: Watch, scope: anyio.CancelScope) -> None:
    await watch()
    scope.cancel()


def _find_asyncio_loop() -> Any:
    """Return the loop of the asyncio task that this runs in, None on trio.

    PERF: whoever runs an asyncio loop has imported asyncio; importing it here would take a fifth of
    the time that importing the framework may take.
    """
    asyncio: Any = sys.modules.get("asyncio")
    try:
        # Trio may run as a guest of an asyncio loop, outside of its tasks.
        is_task = asyncio is not None and asyncio.current_task() is not None
    except RuntimeError:
        return None
    return asyncio.get_running_loop() if is_task else None
