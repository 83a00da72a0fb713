"""Redis goes away and comes back."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import anyio
import pytest
from blockbuster import BlockBuster
from redis.asyncio import Redis

from framework.channels import (
    Channels,
    ChannelsStatistics,
    ChannelsUnavailable,
    Subscription,
    redis as channels_redis,
)
from framework.channels.redis import RedisBackend
from tests.framework.rate_limits.servers import RedisServer

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Only asyncio: redis-py has no other."""
    return "asyncio"


@pytest.fixture
def server(folder: Path, blockbuster: BlockBuster) -> Iterator[RedisServer]:
    # redis-py reads its own version from a file for each new connection.
    blockbuster.deactivate()
    folder.mkdir()
    server = RedisServer(folder)
    yield server
    server.stop()


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Any]:
    client = Redis.from_url(server.url)
    yield client
    await client.aclose()


def restart(server: RedisServer) -> None:
    """Start a server that has lost its data, in the place of one that was stopped."""
    server.__init__(server.path.parent)  # type: ignore[misc]


async def take_data(events: Subscription, count: int) -> list[Any]:
    with anyio.fail_after(10):
        return [(await anext(events)).data for _ in range(count)]


async def wait_until(
    channels: Channels, is_reached: Callable[[ChannelsStatistics], object]
) -> None:
    with anyio.fail_after(10):
        while not is_reached(channels.statistics()):  # noqa: ASYNC110 - nobody sets an event
            await anyio.sleep(0.01)


async def test_what_was_published_during_an_outage_arrives_late(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Channels(RedisBackend(server.url)) as channels:
        async with channels.subscribe("a", overflow="drop_oldest") as events:
            await channels.publish("a", 0)
            assert await take_data(events, 1) == [0]
            server.stop()
            await wait_until(channels, attrgetter("reconnects"))
            async with anyio.create_task_group() as tasks:
                for number in range(1, 6):
                    tasks.start_soon(channels.publish, "a", number)
                await anyio.sleep(0.3)
                restart(server)
            assert await take_data(events, 5) == [1, 2, 3, 4, 5]
        # The new server does not know where we were: something may be missing.
        assert channels.statistics().missed == 1
    assert "Channels have lost Redis and try again: " in caplog.text


async def test_a_connection_that_is_cut_costs_nothing(server: RedisServer, client: Any) -> None:
    async with (
        Channels(RedisBackend(server.url)) as channels,
        Channels(RedisBackend(server.url)) as other,
        channels.subscribe("a") as events,
    ):
        for number in range(10):
            await other.publish("a", number)
            if number % 3 == 0:
                await client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        assert await take_data(events, 10) == list(range(10))
        assert channels.statistics().reconnects > 0
        assert channels.statistics().missed == 0


async def test_who_publishes_for_too_long_in_vain_is_told(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels_redis, "CHANNEL_PUBLISH_SECONDS", 0.2)
    async with Channels(RedisBackend(server.url)) as channels:
        server.stop()
        with anyio.fail_after(10), pytest.raises(ChannelsUnavailable, match="ConnectionError"):
            await channels.publish("a", 1)
        restart(server)
        monkeypatch.setattr(channels_redis, "CHANNEL_PUBLISH_SECONDS", 10)
        await channels.publish("a", 2)
        assert channels.statistics().published == 1


async def test_it_opens_while_redis_is_away(server: RedisServer) -> None:
    server.stop()
    async with Channels(RedisBackend(server.url)) as channels:
        async with channels.subscribe("a", overflow="drop_oldest") as events:
            restart(server)
            await channels.publish("a", 1)
            # Published before anybody knew where the stream ends, or after: it is there.
            await wait_until(channels, attrgetter("topics"))
            await channels.publish("a", 2)
            found = await take_data(events, 1)
            assert found in ([1], [2])
        assert channels.statistics().missed == 1


async def test_an_event_that_redis_has_twice_is_delivered_once(
    server: RedisServer, client: Any
) -> None:
    async with (
        Channels(RedisBackend(server.url)) as channels,
        channels.subscribe("a") as events,
    ):
        await channels.publish("a", 1)
        [(_, fields)] = await client.xrange("channels")
        await client.xadd("channels", fields)
        await channels.publish("a", 2)
        assert await take_data(events, 2) == [1, 2]
        async with (
            Channels(RedisBackend(server.url)) as late,
            late.subscribe("a", history=None) as history,
        ):
            assert await take_data(history, 2) == [1, 2]


async def test_an_entry_that_is_no_event_is_skipped(
    server: RedisServer, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        Channels(RedisBackend(server.url)) as channels,
        channels.subscribe("*") as events,
    ):
        for fields in ({"frame": b"\x93"}, {"other": "x"}, {"frame": b"\x90", "from": "a-b"}):
            await client.xadd("channels", fields)
        await channels.publish("a", 1)
        assert await take_data(events, 1) == [1]
    assert caplog.text.count("an entry that is no event") == 3


@pytest.mark.parametrize("kept", [20, 100])
async def test_who_is_too_far_behind_is_told(
    server: RedisServer, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = RedisBackend(server.url, stream_events=kept)
    read, gate = backend._read, anyio.Event()

    async def read_later() -> None:
        await gate.wait()
        await read()

    async with (
        Channels(backend) as channels,
        Channels(RedisBackend(server.url, stream_events=kept)) as other,
        channels.subscribe("a") as events,
    ):
        monkeypatch.setattr(backend, "_read", read_later)
        await other.publish("a", 0)
        assert await take_data(events, 1) == [0]
        async with anyio.create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(other.publish, "a", number)
        gate.set()
        with anyio.fail_after(10):
            async for _ in events:
                pass
        assert events.overflowed
        assert channels.statistics().missed == 1


async def test_what_redis_takes_half_of_is_lost_for_nobody(
    server: RedisServer, client: Any
) -> None:
    """A Redis without memory refuses some of many commands: what is sent again is not taken for old."""
    published: dict[int, int] = {}

    async def publish(channels: Channels, number: int) -> None:
        published[number] = await channels.publish("a", f"{number:02}" + "x" * 100_000)

    async with (
        Channels(RedisBackend(server.url)) as channels,
        channels.subscribe("a", buffer=100) as events,
    ):
        used = (await client.info("memory"))["used_memory"]
        await client.config_set("maxmemory", used + 5_000_000)
        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(publish, channels, number)
            await anyio.sleep(0.5)
            await client.config_set("maxmemory", 0)
        with anyio.fail_after(10):
            found = [await anext(events) for _ in range(60)]
        assert {int(event.data[:2]): event.id for event in found} == published


async def test_the_stream_is_bounded(server: RedisServer, client: Any) -> None:
    backend = RedisBackend(server.url, key="b", stream_events=100)
    async with Channels(backend) as channels, anyio.create_task_group() as tasks:
        for number in range(1000):
            tasks.start_soon(channels.publish, "a", number)
    assert await client.xlen("b") < 300


async def test_no_password_is_shown(
    caplog: pytest.LogCaptureFixture, blockbuster: BlockBuster
) -> None:
    blockbuster.deactivate()
    caplog.set_level(logging.DEBUG, logger="framework")
    backend = RedisBackend("redis://user:geheim@127.0.0.1:1/0")
    async with Channels(backend):
        pass
    assert "lost Redis" in caplog.text
    assert "geheim" not in caplog.text + repr(backend)


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio_is_refused() -> None:
    with pytest.raises(RuntimeError, match="redis-py needs asyncio"):
        await Channels("redis://127.0.0.1:1/0").__aenter__()
