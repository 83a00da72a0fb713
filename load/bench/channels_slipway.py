"""A process with our channels: `python -m load.bench.channels_slipway URL SUBSCRIBERS STALLED`."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from framework.channels import Channels
from load.bench.channels_worker import TOPIC, Subscribers, publish_all, start

# As the peer, which has no limit unless it is told one.
BUFFER = 1_000_000
STALLED_BUFFER = 256


async def run(url: str, count: int, stalled: int) -> None:
    """Subscribe or publish through the back end of a URL."""
    async with Channels(url) as channels:
        if not count:
            await publish_all(partial(channels.publish, TOPIC))
            return
        # A subscriber that stalls has the limit that is usual.
        buffer = STALLED_BUFFER if stalled else BUFFER
        subscribe = partial(channels.subscribe, TOPIC, buffer=buffer)
        await Subscribers(subscribe, attrgetter("raw"), count, stalled).run()


if __name__ == "__main__":
    start(run)
