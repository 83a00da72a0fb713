"""`stream_events`: channels as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator

from framework.channels.channels import Channels
from framework.channels.events import find_id
from framework.requests import Request
from framework.responses.sse import ServerSentEvent

__all__ = ["stream_events"]


async def stream_events(
    channels: Channels, request: Request, *topics: str, history: int = 0
) -> AsyncIterator[ServerSentEvent]:
    """Yield the events of some topics for an `EventSourceResponse`, each with its id.

    A browser that connects again says by `Last-Event-ID` what it has, and gets all that is kept since;
    so it does when it was too slow, which ends the stream. The data are text, or the JSON of what was
    published.

    Args:
        channels: open ones.
        request: of the browser.
        topics: as `Channels.subscribe` takes them.
        history: events that a browser which comes for the first time begins with, the newest.

    Raises:
        ValueError, RuntimeError: as `Channels.subscribe` does, when the stream begins.
        UnicodeDecodeError: bytes were published that are no UTF-8.
    """
    after = find_id(request.headers.get("last-event-id"))
    begin = history if after is None else 0
    async with channels.subscribe(*topics, history=begin, after=after) as events:
        if after is None and not begin:
            # Dispatches nothing. A browser that is cut off before the first event comes again with this id.
            yield ServerSentEvent(id=events.newest)
        async for event in events:
            yield ServerSentEvent(id=event.id, data=event.text)
