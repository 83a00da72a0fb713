"""`Backend`: how events reach the other processes."""

from __future__ import annotations

import importlib
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from framework.channels._hub import Hub

__all__ = ["Backend", "build_backend"]

# Loaded when a URL names it: Redis is not needed by those who have none.
_MODULES: Final = {
    "memory": "framework.channels.memory",
    "unix": "framework.channels.unix",
    "redis": "framework.channels.redis",
    "rediss": "framework.channels.redis",
    "redis+unix": "framework.channels.redis",
}


class Backend(Protocol):
    """Carries events between processes, in one order for all of them.

    Attributes:
        reconnects: how often the connection was lost.
    """

    reconnects: int

    async def open(self, hub: Hub) -> None:
        """Hand the latest events to `hub.restore`; everything after them is delivered."""

    async def run(self) -> None:
        """Hand new events to `hub.deliver`, and gaps to `hub.miss`, until it is cancelled."""

    async def publish(self, frame: bytes) -> int:
        """Publish a frame (see `encode_frame`) and return its id.

        Raises:
            ChannelsUnavailable: it could not be published in time.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; called once after `open`, also when that has failed."""


def build_backend(url: str) -> Backend:
    """Return the back end of a URL: `memory://`, `unix:///a/folder`, `redis://...`, `rediss://...`.

    `redis+unix:///path/of/socket` is a Redis server on a Unix socket.

    Raises:
        ValueError: no such back end, or the URL is not complete.
        ImportError: redis-py is missing.
    """
    scheme = urlsplit(url).scheme
    module = _MODULES.get(scheme)
    if module is None:
        known = ", ".join(f"{name}://" for name in _MODULES)
        # APPSEC: only the scheme, the rest may hold a password.
        raise ValueError(f"no back end for channels is called {scheme!r}; known are {known}")
    backend: Any = importlib.import_module(module)
    built: Backend = backend.build(url)
    return built
