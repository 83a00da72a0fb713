"""The latest events of each topic, in the memory of this process."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator

from framework._defaults import MAX_CHANNEL_HISTORY_BYTES, MAX_CHANNEL_HISTORY_TOPICS
from framework.channels.events import Event


class History:
    """At most `limit` events of each topic; topics that were quiet for the longest time go first."""

    __slots__ = ("_bytes", "_limit", "_topics")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._topics: OrderedDict[str, deque[Event]] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._topics)

    def add(self, event: Event) -> None:
        """Keep an event."""
        if not self._limit:
            return
        events = self._topics.get(event.topic)
        if events is None:
            events = self._topics[event.topic] = deque()
        else:
            self._topics.move_to_end(event.topic)
        events.append(event)
        self._bytes += len(event.raw)
        if len(events) > self._limit:
            self._bytes -= len(events.popleft().raw)
        while (
            self._bytes > MAX_CHANNEL_HISTORY_BYTES
            or len(self._topics) > MAX_CHANNEL_HISTORY_TOPICS
        ):
            self._drop_oldest()

    def find(
        self,
        topics: Iterable[str],
        prefixes: tuple[str, ...],
        *,
        after: int | None,
        last: int | None,
    ) -> list[Event]:
        """Return events of these topics, and of those with one of the prefixes, in order.

        Args:
            topics: whole names, each once.
            prefixes: beginnings of names.
            after: only events with a higher id.
            last: only so many, the newest; None for all.
        """
        found = [
            event
            for name in self._find_names(topics, prefixes)
            for event in self._topics[name]
            if after is None or event.id > after
        ]
        found.sort(key=_get_id)
        return found if last is None else found[max(0, len(found) - last) :]

    def _find_names(self, topics: Iterable[str], prefixes: tuple[str, ...]) -> Iterator[str]:
        exact = [name for name in topics if name in self._topics and not name.startswith(prefixes)]
        if not prefixes:
            return iter(exact)
        return itertools.chain(exact, (name for name in self._topics if name.startswith(prefixes)))

    def _drop_oldest(self) -> None:
        topic, events = next(iter(self._topics.items()))
        self._bytes -= len(events.popleft().raw)
        # As a whole when there are too many of them, else event by event.
        if not events or len(self._topics) > MAX_CHANNEL_HISTORY_TOPICS:
            self._bytes -= sum(len(event.raw) for event in events)
            del self._topics[topic]


def _get_id(event: Event) -> int:
    return event.id
