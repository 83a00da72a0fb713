"""A process with those of Litestar: `python -m load.bench.channels_litestar KIND|URL SUBSCRIBERS STALLED`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar.channels import ChannelsPlugin
from litestar.channels.backends.redis import RedisChannelsPubSubBackend, RedisChannelsStreamBackend
from redis.asyncio import Redis

from load.bench.channels_worker import TOPIC, Subscribers, publish_all, start

# More than a run publishes: its stream back end loses what is cut off before it is read.
HISTORY = 100_000


async def run(place: str, count: int, stalled: int) -> None:
    """Subscribe or publish through a Redis server; the kind is pubsub or stream."""
    kind, _, url = place.partition("|")
    client = Redis.from_url(url)
    plugin = ChannelsPlugin(build_backend(kind, client), arbitrary_channels_allowed=True)

    @asynccontextmanager
    async def subscribe() -> AsyncIterator[AsyncIterator[bytes]]:
        async with plugin.start_subscription(TOPIC) as subscriber:
            yield subscriber.iter_events()

    async def publish(data: bytes) -> None:
        await plugin.wait_published(data, TOPIC)

    async with plugin:
        if count:
            await Subscribers(subscribe, bytes, count, stalled).run()
        else:
            await publish_all(publish)
    await client.aclose()


def build_backend(kind: str, client: Any) -> Any:
    """Return one of the two back ends for Redis."""
    if kind == "pubsub":
        return RedisChannelsPubSubBackend(redis=client)
    return RedisChannelsStreamBackend(redis=client, history=HISTORY)


if __name__ == "__main__":
    start(run)
