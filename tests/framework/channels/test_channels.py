"""What all back ends have in common."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import anyio
import msgspec
import pytest

from framework._defaults import MAX_CHANNEL_EVENT_BYTES
from framework.channels import Channels, Event, Subscription
from tests.framework.channels.conftest import Place, Setup

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend(setup: Setup) -> str:
    return setup[1]


@pytest.fixture
async def here(place: Place) -> AsyncIterator[Channels]:
    """The channels of a process."""
    async with place.make() as channels:
        yield channels


@pytest.fixture
async def there(place: Place, here: Channels) -> AsyncIterator[Channels]:
    """Those of another one; the same where there can be only one."""
    if place.name == "memory":
        yield here
        return
    async with place.make() as channels:
        yield channels


async def take(events: Subscription, count: int) -> list[Event]:
    found: list[Event] = []
    with anyio.fail_after(10):
        while len(found) < count:
            found.append(await anext(events))
    return found


async def take_data(events: Subscription, count: int) -> list[Any]:
    return [event.data for event in await take(events, count)]


async def publish_all(channels: Channels, topic: str, count: int) -> list[int]:
    return [await channels.publish(topic, number) for number in range(count)]


async def wait_for_history(channels: Channels, topic: str, event_id: int) -> None:
    """Wait until the channels have this event."""
    with anyio.fail_after(10):
        async with channels.subscribe(topic, history=None) as events:
            async for event in events:
                if event.id == event_id:
                    return


class Point(msgspec.Struct):
    x: int


@pytest.mark.parametrize(
    ("data", "expected", "kind"),
    [
        ("Grüße", "Grüße", "text"),
        ("", "", "text"),
        (b"\x00\xff", b"\x00\xff", "bytes"),
        (bytearray(b"a"), b"a", "bytes"),
        ({"a": [1, None, True]}, {"a": [1, None, True]}, "json"),
        (None, None, "json"),
        (Point(1), {"x": 1}, "json"),
        (uuid.UUID(int=1), str(uuid.UUID(int=1)), "json"),
        (dt.date(2024, 2, 29), "2024-02-29", "json"),
    ],
)
async def test_data_arrive_as_they_were_published(
    here: Channels, there: Channels, data: Any, expected: Any, kind: str
) -> None:
    async with there.subscribe("a") as events:
        event_id = await here.publish("a", data)
        [event] = await take(events, 1)
    assert (event.topic, event.id, event.kind) == ("a", event_id, kind)
    assert event.data == expected
    assert type(event.data) is type(expected)


async def test_the_publisher_gets_its_own_events(here: Channels) -> None:
    async with here.subscribe("a") as events:
        await here.publish("a", 1)
        assert await take_data(events, 1) == [1]


async def test_nobody_has_to_listen(here: Channels) -> None:
    await here.publish("a", 1)


async def test_events_come_in_order_and_once(here: Channels, there: Channels) -> None:
    async with there.subscribe("a", "a", "a*", "*", buffer=1000) as events:
        ids = await publish_all(here, "a", 500)
        found = await take(events, 500)
        await here.publish("a", "end")
        assert await take_data(events, 1) == ["end"]
    assert [event.data for event in found] == list(range(500))
    assert [event.id for event in found] == ids == sorted(set(ids))


async def test_publishers_at_once_keep_their_own_order(here: Channels, there: Channels) -> None:
    async def publish(channels: Channels, name: str) -> None:
        for number in range(100):
            await channels.publish(name, number)

    async with AsyncExitStack() as stack:
        subscriptions = [
            await stack.enter_async_context(channels.subscribe("*", buffer=1000))
            for channels in (here, there)
        ]
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                tasks.start_soon(publish, (here, there)[number % 2], f"p{number}")
        found = [await take(events, 400) for events in subscriptions]
    # The same order for everybody, whoever published.
    assert found[0] == found[1]
    for name in ("p0", "p1", "p2", "p3"):
        assert [event.data for event in found[0] if event.topic == name] == list(range(100))


async def test_every_subscriber_gets_what_it_wants(here: Channels, there: Channels) -> None:
    async with (
        there.subscribe("chat.1") as one,
        there.subscribe("chat.*") as chat,
        there.subscribe("*") as everything,
        there.subscribe("chat.1", "news") as both,
        there.subscribe("chat") as none,
    ):
        for topic in ("chat.1", "chat.2", "news", "chat.1.typing", "chat."):
            await here.publish(topic, topic)
        await here.publish("chat", "end")
        assert await take_data(one, 1) == ["chat.1"]
        assert await take_data(chat, 4) == ["chat.1", "chat.2", "chat.1.typing", "chat."]
        assert len(await take(everything, 6)) == 6
        assert await take_data(both, 2) == ["chat.1", "news"]
        assert await take_data(none, 1) == ["end"]


async def test_who_has_left_gets_nothing(here: Channels) -> None:
    async with here.subscribe("a", "b*") as events:
        assert here.statistics().subscribers == 1
    await here.publish("a", 1)
    assert [event async for event in events] == []
    assert here.statistics().subscribers == 0


async def test_history_comes_first(here: Channels, there: Channels) -> None:
    ids = await publish_all(here, "a.1", 5)
    await here.publish("b", "other")
    last = await here.publish("a.2", "five")
    await wait_for_history(there, "a.2", last)
    async with (
        there.subscribe("a.1", history=2) as two,
        there.subscribe("a.*", "a.1", history=3) as three,
        there.subscribe("a.1", history=None) as everything,
        there.subscribe("a.1") as none,
    ):
        await here.publish("a.1", "new")
        assert await take_data(two, 3) == [3, 4, "new"]
        assert await take_data(three, 4) == [3, 4, "five", "new"]
        assert [event.id for event in await take(everything, 5)] == ids
        assert await take_data(none, 1) == ["new"]


async def test_a_subscription_begins_where_it_begins(here: Channels, there: Channels) -> None:
    await publish_all(here, "a", 100)
    async with here.subscribe("a") as events:
        await here.publish("a", "new")
        assert await take_data(events, 1) == ["new"]


async def test_history_is_bounded(place: Place) -> None:
    async with place.make(history=3) as channels:
        ids = await publish_all(channels, "a", 10)
        await wait_for_history(channels, "a", ids[-1])
        async with channels.subscribe("a", history=None) as events:
            assert await take_data(events, 3) == [7, 8, 9]


async def test_who_comes_again_misses_nothing(here: Channels, there: Channels) -> None:
    ids = await publish_all(here, "a", 10)
    await wait_for_history(there, "a", ids[-1])
    # A server-sent event has text as its id.
    async with there.subscribe("a", after=str(ids[6])) as events:
        await here.publish("a", 10)
        assert await take_data(events, 4) == [7, 8, 9, 10]
    async with there.subscribe("a", after=ids[2], history=2) as events:
        assert await take_data(events, 2) == [9, 10]
    async with there.subscribe("a", after=0) as events:
        assert await take_data(events, 11) == list(range(11))


@pytest.mark.parametrize("text", ["", "abc", "-1", "1.5", "9" * 21, "٣", "99999999999999999999"])
async def test_an_id_that_is_none_of_ours_does_no_harm(here: Channels, text: str) -> None:
    await here.publish("a", "old")
    async with here.subscribe("b", after=text) as events:
        await here.publish("b", "new")
        assert await take_data(events, 1) == ["new"]


async def test_a_new_process_knows_what_was_before_it(place: Place, here: Channels) -> None:
    if place.name == "memory":
        return
    ids = await publish_all(here, "a", 5)
    async with place.make() as late, late.subscribe("a", after=ids[1]) as events:
        assert await take_data(events, 3) == [2, 3, 4]


async def test_ids_rise_over_a_new_start(place: Place) -> None:
    channels = place.make()
    ids = []
    for _ in range(3):
        async with channels:
            ids.append(await channels.publish("a", 1))
    assert ids == sorted(set(ids))


async def test_slow_subscribers(here: Channels, there: Channels) -> None:
    async with (
        there.subscribe("a", buffer=3) as closing,
        there.subscribe("a", buffer=3, overflow="drop_oldest") as newest,
        there.subscribe("a", buffer=3, overflow="drop_newest") as oldest,
        there.subscribe("a", buffer=20) as quick,
    ):
        await publish_all(here, "a", 10)
        assert await take_data(quick, 10) == list(range(10))
        assert [event.data async for event in closing] == [0, 1, 2]
        assert await take_data(newest, 3) == [7, 8, 9]
        assert await take_data(oldest, 3) == [0, 1, 2]
        assert (closing.overflowed, newest.overflowed, oldest.overflowed) == (True, False, False)
        assert (closing.dropped, newest.dropped, oldest.dropped) == (1, 7, 7)
        statistics = there.statistics()
        assert (statistics.dropped, statistics.closed, statistics.subscribers) == (15, 1, 3)
        assert statistics.delivered == 10 + 3 + 10 + 3


async def test_statistics(here: Channels, there: Channels) -> None:
    async with there.subscribe("*") as events:
        await here.publish("a", 1)
        await here.publish("b", 1)
        await take(events, 2)
        statistics = there.statistics()
    assert (statistics.delivered, statistics.subscribers, statistics.topics) == (2, 1, 2)
    assert here.statistics().published == 2
    assert (statistics.missed, statistics.reconnects) == (0, 0)


async def test_the_end_of_the_channels_ends_subscriptions(place: Place) -> None:
    found: list[Any] = []

    async def listen(channels: Channels, ready: anyio.Event) -> None:
        async with channels.subscribe("a") as events:
            ready.set()
            found.extend([event.data async for event in events])
            found.append("end")

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, place.make() as channels:
            ready = anyio.Event()
            tasks.start_soon(listen, channels, ready)
            await ready.wait()
    assert found == ["end"]


async def test_an_error_in_the_block_stays_what_it_is(place: Place) -> None:
    with pytest.raises(LookupError, match="own"):
        async with place.make():
            raise LookupError("own")


async def test_a_cancelled_block_closes_the_channels(place: Place) -> None:
    channels = place.make()
    with anyio.move_on_after(0.05) as scope:
        async with channels:
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    async with channels:
        await channels.publish("a", 1)


async def test_cancelling_a_wait_loses_no_event(here: Channels) -> None:
    async with here.subscribe("a") as events:
        with anyio.move_on_after(0.01):
            await anext(events)
        await here.publish("a", 1)
        assert await take_data(events, 1) == [1]


async def test_one_task_waits_for_the_events(here: Channels) -> None:
    async with here.subscribe("a") as events, anyio.create_task_group() as tasks:
        tasks.start_soon(anext, events)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(RuntimeError, match="another task"):
            await anext(events)
        tasks.cancel_scope.cancel()


async def test_a_subscription_serves_one_block(here: Channels) -> None:
    events = here.subscribe("a")
    async with events:
        with pytest.raises(RuntimeError, match="in use"):
            await events.__aenter__()


async def test_closed_channels_say_what_to_do(place: Place) -> None:
    channels = place.make()
    with pytest.raises(RuntimeError, match="in the lifespan"):
        await channels.publish("a", 1)
    with pytest.raises(RuntimeError, match="in the lifespan"):
        channels.subscribe("a")
    async with channels:
        with pytest.raises(RuntimeError, match="open them once"):
            await channels.__aenter__()
        await channels.publish("a", 1)
        events = channels.subscribe("a")
    with pytest.raises(RuntimeError, match="in the lifespan"):
        await channels.publish("a", 1)
    async with events:
        assert [event async for event in events] == []


@pytest.mark.parametrize("topic", ["", "a*", "*", "a\n", "a\0", "a" * 257, "ä" * 129, "\ud800"])
async def test_a_topic_that_is_none_is_refused(here: Channels, topic: str) -> None:
    with pytest.raises(ValueError, match=r"topic=|surrogates"):
        await here.publish(topic, 1)


@pytest.mark.parametrize(
    ("topics", "options", "message"),
    [
        ((), {}, "at least one topic"),
        (("",), {}, "topic=''"),
        (("a*b",), {}, "topic="),
        (("a**",), {}, "topic="),
        (("a",), {"history": -1}, "history=-1"),
        (("a",), {"buffer": 0}, "buffer=0"),
        (("a",), {"overflow": "block"}, "overflow='block'"),
    ],
)
async def test_a_subscription_that_makes_no_sense_is_refused(
    here: Channels, topics: tuple[str, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        here.subscribe(*topics, **options)


async def test_data_that_cannot_be_sent_are_refused(here: Channels) -> None:
    with pytest.raises(TypeError):
        await here.publish("a", object())
    with pytest.raises(ValueError, match="surrogates"):
        await here.publish("a", "\ud800")
    with pytest.raises(ValueError, match="over the limit"):
        await here.publish("a", bytes(MAX_CHANNEL_EVENT_BYTES + 1))
    assert here.statistics().published == 0


async def test_the_largest_event_arrives(here: Channels, there: Channels) -> None:
    data = bytes(range(256)) * (MAX_CHANNEL_EVENT_BYTES // 256)
    async with there.subscribe("a") as events:
        for _ in range(3):
            await here.publish("a", data)
        assert await take_data(events, 3) == [data] * 3


@pytest.mark.parametrize("overflow", ["close", "drop_oldest", "drop_newest"])
async def test_what_a_subscription_begins_with_is_not_what_it_was_too_slow_for(
    here: Channels, overflow: Any
) -> None:
    for number in range(300):
        await here.publish(f"a.{number % 4}", number)
    async with here.subscribe("a.*", history=None, buffer=10, overflow=overflow) as events:
        await here.publish("a.0", "live")
        found = [event.data for event in await take(events, 301)]
    assert found == [*range(300), "live"]
    assert not events.overflowed
    assert events.dropped == 0
