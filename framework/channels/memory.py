"""`MemoryBackend`: channels within one process, for tests and services with one worker."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import anyio.lowlevel

from framework.channels._hub import Hub
from framework.channels.events import decode_frame

__all__ = ["MemoryBackend", "build"]


class MemoryBackend:
    """Delivers to the subscribers of this process and to nobody else."""

    def __init__(self) -> None:
        self.reconnects = 0
        self._hub: Hub | None = None
        self._last_id = 0

    async def open(self, hub: Hub) -> None:
        self._hub = hub
        # Above the ids of an earlier process: clients may come again with those.
        self._last_id = max(self._last_id, time.time_ns() // 1000)

    async def run(self) -> None:
        await anyio.sleep_forever()

    async def publish(self, frame: bytes) -> int:
        if self._hub is None:
            raise RuntimeError("this back end is not open")
        self._last_id += 1
        event = decode_frame(frame, self._last_id)
        self._hub.deliver(event)
        # Subscribers get a turn, else their queues would overflow under a publisher that never waits.
        await anyio.lowlevel.checkpoint()
        return event.id

    async def close(self) -> None:
        self._hub = None


def build(url: str) -> MemoryBackend:
    """Return the back end of `memory://`."""
    parts = urlsplit(url)
    if parts.netloc or parts.path:
        raise ValueError(f"{url!r} must be memory:// and nothing else")
    return MemoryBackend()
