"""`Channels`: publish to everybody who listens, in all processes."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, NamedTuple, Self

import anyio

from framework._defaults import CHANNEL_HISTORY_EVENTS, CHANNEL_SUBSCRIBER_EVENTS
from framework.channels._hub import Hub
from framework.channels.backends import Backend, build_backend
from framework.channels.events import encode_frame, find_id
from framework.channels.subscriptions import Overflow, Subscription

__all__ = ["Channels", "ChannelsStatistics"]


class ChannelsStatistics(NamedTuple):
    """Numbers of one process since its channels were opened; `subscribers` and `topics` are of now."""

    #: Events published here.
    published: int
    #: Events handed to subscribers here: one event for ten of them counts ten.
    delivered: int
    #: Events that subscribers here did not get because they were too slow.
    dropped: int
    #: Events lost to this process as a whole: it was too far behind, or the server has lost them.
    missed: int
    #: Subscribers that were closed because they were too slow or events were missed.
    closed: int
    #: Subscribers.
    subscribers: int
    #: Topics that have a history.
    topics: int
    #: How often the connection to the server was lost.
    reconnects: int


class Channels:
    """Broadcast between the tasks of all processes that use the same back end.

    Make it where the application is made, open it in the lifespan: `async with channels: yield`. Nothing
    is opened before, so it may be made before workers are forked.

    Every subscriber gets the events of its topics once and in the order of their ids; those of one
    publisher to one topic are in the order in which they were published. An event published before
    `async with channels.subscribe(...)` is history, every one after it is delivered.

    Args:
        backend: `memory://`, `unix:///a/folder`, `redis://host`, or a back end.
        history: events of each topic that are kept in each process; 0 for none.

    Raises:
        ValueError: the URL is wrong, or `history` is negative.
    """

    def __init__(self, backend: str | Backend, *, history: int = CHANNEL_HISTORY_EVENTS) -> None:
        if history < 0:
            raise ValueError(f"history={history!r} must not be negative; 0 keeps none")
        self._backend = build_backend(backend) if isinstance(backend, str) else backend
        self._history = history
        self._hub = Hub(history)
        self._published = 0
        self._stack: AsyncExitStack | None = None

    async def __aenter__(self) -> Self:
        """Open the back end.

        Raises:
            RuntimeError: it is open already, or the back end does not work here.
            OSError: the folder of the back end cannot be used.
        """
        if self._stack is not None:
            raise RuntimeError("these channels are open: open them once, in the lifespan")
        self._hub = Hub(self._history)
        self._published = 0
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close)
            await self._backend.open(self._hub)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            tasks.start_soon(self._backend.run)
            stack.callback(tasks.cancel_scope.cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all subscriptions and let go of the back end."""
        stack, self._stack = self._stack, None
        self._hub.end()
        if stack is None:
            return
        if isinstance(exc, anyio.get_cancelled_exc_class()):
            await stack.__aexit__(exc_type, exc, traceback)
        else:
            # An error of the block stays what it is: a task group would make an ExceptionGroup of it.
            await stack.aclose()

    async def publish(self, topic: str, data: Any) -> int:
        """Publish to a topic and return the id of the event.

        Text and bytes arrive as they are, all else as what its JSON says (msgspec): dates and UUIDs as
        text, structs and dataclasses as objects. When it returns, the event is on its way to everybody
        who listens, and this process may die.

        Args:
            topic: such as `chat.1`; no `*`, at most `MAX_CHANNEL_TOPIC_BYTES`.
            data: at most `MAX_CHANNEL_EVENT_BYTES`.

        Raises:
            ChannelsUnavailable: it could not be published in time; others may or may not get it.
            TypeError: the data have no JSON form.
            ValueError: the topic is none, or the data are too large.
            RuntimeError: the channels are not open.
        """
        frame = encode_frame(topic, data)
        self._check_open()
        event_id = await self._backend.publish(frame)
        self._published += 1
        return event_id

    def subscribe(
        self,
        *topics: str,
        history: int | None = 0,
        after: int | str | None = None,
        buffer: int = CHANNEL_SUBSCRIBER_EVENTS,
        overflow: Overflow = "close",
    ) -> Subscription:
        """Return the events of some topics, to be used with `async with` and `async for`.

        Args:
            topics: names, or beginnings of names: `chat.*` has all that begins with `chat.`, and `*` has
                everything. An event comes once, however many of them it fits.
            history: begin with so many events that are there already, the newest; None for all.
            after: begin with all that is kept since the event with this id (at most `history`, if that is
                given), such as the `Last-Event-ID` of an event stream. What is no id counts as none, and
                an id that is too old as the oldest.
            buffer: events that may wait for this subscriber.
            overflow: what happens when more would have to wait: `close` ends the iteration after those
                that wait, so a client may come again with `after` and miss nothing; `drop_oldest` and
                `drop_newest` leave events out and count them.

        Raises:
            ValueError: one of them is wrong.
            RuntimeError: the channels are not open.
        """
        self._check_open()
        last_seen = find_id(after)
        wants_all = last_seen is not None and not history
        return Subscription(
            self._hub,
            topics,
            history=None if wants_all else history,
            after=last_seen,
            buffer=buffer,
            overflow=overflow,
        )

    def statistics(self) -> ChannelsStatistics:
        """Return numbers for metrics."""
        hub = self._hub
        return ChannelsStatistics(
            published=self._published,
            delivered=hub.delivered,
            dropped=hub.dropped,
            missed=hub.missed,
            closed=hub.closed,
            subscribers=hub.subscribers,
            topics=hub.topics,
            reconnects=self._backend.reconnects,
        )

    async def _close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self._backend.close()

    def _check_open(self) -> None:
        if self._stack is None:
            raise RuntimeError(
                "the channels are not open: use `async with channels:` in the lifespan"
            )
