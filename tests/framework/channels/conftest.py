"""Every back end, on every event loop that it runs on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from blockbuster import BlockBuster

from framework.channels import Backend, Channels
from framework.channels.memory import MemoryBackend
from framework.channels.redis import RedisBackend
from framework.channels.unix import UnixBackend
from tests.framework.rate_limits.servers import RedisServer

Setup = tuple[str, Literal["asyncio", "trio"]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(setup, id="-".join(setup))
        for setup in (
            ("memory", "asyncio"),
            ("memory", "trio"),
            ("unix", "asyncio"),
            ("unix", "trio"),
            ("redis", "asyncio"),  # redis-py has no other
        )
    ],
)
def setup(request: pytest.FixtureRequest) -> Setup:
    """Return the name of a back end and of an event loop."""
    found: Setup = request.param
    return found


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    # A short path: that of a Unix socket has at most 107 characters.
    with tempfile.TemporaryDirectory() as directory:
        server = RedisServer(Path(directory))
        yield server
        server.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path, for sockets."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory) / "channels"


class Place:
    """Where channels of one test meet, each as in a process of its own but with `memory://`."""

    def __init__(self, name: str, build: Callable[[], Backend]) -> None:
        self.name = name
        self._build = build

    def make(self, **options: Any) -> Channels:
        return Channels(self._build(), **options)


@pytest.fixture
def place(
    setup: Setup, folder: Path, request: pytest.FixtureRequest, blockbuster: BlockBuster
) -> Place:
    """Return the place of one test, empty."""
    name = setup[0]
    if name == "unix":
        return Place(name, partial(UnixBackend, folder))
    if name == "redis":
        # redis-py reads its own version from a file for each new connection.
        blockbuster.deactivate()
        server: RedisServer = request.getfixturevalue("redis_server")
        return Place(name, partial(RedisBackend, server.url, key=request.node.name))
    return Place(name, MemoryBackend)
