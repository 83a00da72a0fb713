"""`Subscription`: the events of some topics, as one subscriber gets them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Final, Literal, Protocol, Self, get_args

import anyio
import anyio.lowlevel

from framework._defaults import CHUNKS_BETWEEN_CHECKPOINTS
from framework.channels.events import Event, check_topic

__all__ = ["Overflow", "Subscription"]

Overflow = Literal["close", "drop_oldest", "drop_newest"]

_OVERFLOWS: Final = get_args(Overflow)


class Registry(Protocol):
    """What knows the subscriptions of a process."""

    def add(self, subscription: Subscription) -> None:
        """Deliver to the subscription from now on, first what it wants of the history."""

    def remove(self, subscription: Subscription) -> None:
        """Deliver no more."""


class Waiter(Protocol):
    """What a subscription waits for."""

    def set(self) -> None:
        """End the wait."""

    def wait(self) -> Awaitable[None]:
        """Wait for `set`."""
        ...


class Subscription:
    """Events of some topics: `async with channels.subscribe("chat.*") as events: async for event in events`.

    Made by `Channels.subscribe`; it counts from `async with` on, and the events end with the block, with
    the channels, and when it was too slow for `overflow="close"`. One task at a time may wait for events.

    Attributes:
        newest: the highest id there was when it began; `after` this id is all that came since.
        overflowed: it was too slow and has been closed; what was in the queue still comes.
        dropped: events that it has not got because it was too slow, or this whole process.
    """

    __slots__ = (
        "_ended",
        "_floor",
        "_limit",
        "_make_waiter",
        "_overflow",
        "_queue",
        "_registry",
        "_restored_id",
        "_turns",
        "_waiter",
        "after",
        "dropped",
        "history",
        "newest",
        "overflowed",
        "prefixes",
        "topics",
    )

    def __init__(
        self,
        registry: Registry,
        topics: Iterable[str],
        *,
        history: int | None,
        after: int | None,
        buffer: int,
        overflow: Overflow,
    ) -> None:
        names = dict.fromkeys(topics)
        if not names:
            raise ValueError("topics=() must name at least one topic, such as 'chat.1' or 'chat.*'")
        for name in names:
            if name != "*":
                check_topic(name.removesuffix("*"))
        if history is not None and history < 0:
            raise ValueError(f"history={history!r} must not be negative; None for all there is")
        if buffer < 1:
            raise ValueError(f"buffer={buffer!r} must be at least 1 event")
        if overflow not in _OVERFLOWS:
            raise ValueError(f"overflow={overflow!r} must be one of {', '.join(_OVERFLOWS)}")
        self.topics = tuple(name for name in names if not name.endswith("*"))
        self.prefixes = tuple(name.removesuffix("*") for name in names if name.endswith("*"))
        self.history = history
        self.after = after
        self.newest = 0
        self.overflowed = False
        self.dropped = 0
        self._registry = registry
        self._limit = buffer
        self._overflow = overflow
        self._queue: deque[Event] = deque()
        self._waiter: Waiter | None = None
        self._make_waiter: Callable[[], Waiter] = anyio.Event
        self._floor = -1
        self._restored_id = -1
        self._turns = 0
        self._ended = False

    async def __aenter__(self) -> Self:
        # PERF: a half of the time that a delivery takes; `load.bench channels` has the row.
        with contextlib.suppress(RuntimeError):
            self._make_waiter = partial(_FutureWaiter, asyncio.get_running_loop())
        self._registry.add(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._registry.remove(self)
        self._queue.clear()
        self.end()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._queue:
            # A subscriber that never waits for anything else lets others have a turn.
            self._turns += 1
            if self._turns >= CHUNKS_BETWEEN_CHECKPOINTS:
                self._turns = 0
                await anyio.lowlevel.checkpoint()
        if self._waiter is not None:
            raise RuntimeError("another task waits for these events: subscribe once for each task")
        while not self._queue:
            if self._ended:
                raise StopAsyncIteration
            self._turns = 0
            self._waiter = self._make_waiter()
            try:
                await self._waiter.wait()
            finally:
                self._waiter = None
        return self._queue.popleft()

    def begin_after(self, newest: int, bound: int) -> None:
        """Skip what it has already, or what was published before it was there.

        Args:
            newest: the highest id so far.
            bound: the highest that there may be; one above it is from elsewhere and says nothing.
        """
        self.newest = newest
        if self.after is not None:
            self._floor = self.after if self.after <= bound else newest
        elif self.history == 0:
            self._floor = newest

    def restore(self, events: Iterable[Event]) -> None:
        """Begin with events of the history; they do not count towards the limit of the queue."""
        for event in events:
            self._queue.append(event)
            self._floor = self._restored_id = event.id

    def put(self, event: Event) -> bool:
        """Hand over an event, unless it has it already. Returns whether it is in the queue now."""
        if event.id <= self._floor:
            return False
        self._floor = event.id
        if len(self._queue) >= self._limit and not self._make_room():
            return False
        self._queue.append(event)
        if self._waiter is not None:
            self._waiter.set()
        return True

    def miss(self, count: int) -> None:
        """Note that events are lost which may have been meant for it."""
        self.dropped += count
        if self._overflow == "close":
            self._close_slow()

    def end(self) -> None:
        """End the iteration after what is in the queue."""
        self._ended = True
        if self._waiter is not None:
            self._waiter.set()

    def _make_room(self) -> bool:
        if self._queue[0].id <= self._restored_id:
            # What it began with is not what it was too slow for.
            restored = sum(event.id <= self._restored_id for event in self._queue)
            if len(self._queue) - restored < self._limit:
                return True
        self.dropped += 1
        if self._overflow == "drop_oldest":
            self._queue.popleft()
            return True
        if self._overflow == "close":
            self._close_slow()
        return False

    def _close_slow(self) -> None:
        self.overflowed = True
        self.end()


class _FutureWaiter:
    """Waits once, on asyncio, for less than an event of anyio costs."""

    __slots__ = ("_future",)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._future: asyncio.Future[None] = loop.create_future()

    def set(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def wait(self) -> Awaitable[None]:
        return self._future
