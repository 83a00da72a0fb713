"""Who subscribes to what in this process, and what was published last. No await."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from framework.channels._history import History
from framework.channels.events import Event
from framework.channels.subscriptions import Subscription

# A dict keeps the order of subscription.
Subscriptions = dict[Subscription, None]


class Hub:
    """Takes the events of a back end in order, keeps the history, and hands them to subscriptions."""

    __slots__ = (
        "_exact",
        "_history",
        "_is_over",
        "_prefixes",
        "_subscriptions",
        "closed",
        "delivered",
        "dropped",
        "find_bound",
        "find_newest",
        "last_id",
        "missed",
    )

    def __init__(self, history: int) -> None:
        self._history = History(history)
        self._subscriptions: Subscriptions = {}
        self._exact: dict[str, Subscriptions] = {}
        # By length: an event is looked up once for each length there is, not for each prefix.
        self._prefixes: dict[int, dict[str, Subscriptions]] = {}
        self._is_over = False
        # Replaced by a back end that knows of events before they are delivered here.
        self.find_newest: Callable[[], int] = self._get_last_id
        # The highest id that any process may have seen, where that is not known exactly.
        self.find_bound: Callable[[], int] | None = None
        self.last_id = 0
        self.delivered = 0
        self.dropped = 0
        self.missed = 0
        self.closed = 0

    @property
    def subscribers(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    @property
    def topics(self) -> int:
        """How many topics have a history."""
        return len(self._history)

    def add(self, subscription: Subscription) -> None:
        """Deliver to a subscription, beginning with what it wants of the history."""
        if subscription in self._subscriptions:
            raise RuntimeError("this subscription is in use: call subscribe() for each block")
        if self._is_over:
            subscription.end()
            return
        newest = self.find_newest()
        subscription.begin_after(newest, newest if self.find_bound is None else self.find_bound())
        if subscription.history != 0:
            subscription.restore(
                self._history.find(
                    subscription.topics,
                    subscription.prefixes,
                    after=subscription.after,
                    last=subscription.history,
                )
            )
        self._subscriptions[subscription] = None
        for topic in subscription.topics:
            self._exact.setdefault(topic, {})[subscription] = None
        for prefix in subscription.prefixes:
            same_length = self._prefixes.setdefault(len(prefix), {})
            same_length.setdefault(prefix, {})[subscription] = None

    def remove(self, subscription: Subscription) -> None:
        """Deliver no more to a subscription; it may be gone already."""
        if subscription not in self._subscriptions:
            return
        del self._subscriptions[subscription]
        for topic in subscription.topics:
            _discard(self._exact, topic, subscription)
        for prefix in subscription.prefixes:
            same_length = self._prefixes[len(prefix)]
            _discard(same_length, prefix, subscription)
            if not same_length:
                del self._prefixes[len(prefix)]

    def restore(self, event: Event) -> None:
        """Keep an event from before this process was there."""
        self.last_id = event.id
        self._history.add(event)

    def deliver(self, event: Event) -> None:
        """Keep an event and hand it to those who want it."""
        self.restore(event)
        delivered = 0
        slow = []
        for subscriptions in self._find(event.topic):
            for subscription in subscriptions:
                dropped = subscription.dropped
                if subscription.put(event):
                    delivered += 1
                if subscription.dropped != dropped:
                    self.dropped += 1
                    if subscription.overflowed:
                        slow.append(subscription)
        self.delivered += delivered
        for subscription in slow:
            self._close(subscription)

    def miss(self, count: int) -> None:
        """Note that events are lost to this process, nobody knows on which topics."""
        self.missed += count
        for subscription in list(self._subscriptions):
            subscription.miss(count)
            if subscription.overflowed:
                self._close(subscription)

    def end(self) -> None:
        """End all subscriptions, and those that begin later."""
        self._is_over = True
        for subscription in list(self._subscriptions):
            self.remove(subscription)
            subscription.end()

    def _get_last_id(self) -> int:
        return self.last_id

    def _close(self, subscription: Subscription) -> None:
        self.closed += 1
        self.remove(subscription)

    def _find(self, topic: str) -> Iterator[Subscriptions]:
        exact = self._exact.get(topic)
        if exact is not None:
            yield exact
        for length, prefixes in self._prefixes.items():
            found = prefixes.get(topic[:length])
            if found is not None:
                yield found


def _discard(table: dict[str, Subscriptions], key: str, subscription: Subscription) -> None:
    subscriptions = table[key]
    del subscriptions[subscription]
    if not subscriptions:
        del table[key]
