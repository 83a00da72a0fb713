from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from framework.server.acceptor import Acceptor


class Greeter(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"hello")  # type: ignore[attr-defined]
        transport.close()


class Factory:
    def __init__(self) -> None:
        self.made: list[Greeter] = []

    def __call__(self) -> Greeter:
        self.made.append(Greeter())
        return self.made[-1]


class ScarceSocket(socket.socket):
    """Finds no descriptor free for the first few times."""

    refusals = 0
    calls = 0

    def accept(self) -> tuple[socket.socket, object]:
        self.calls += 1
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return super().accept()


@pytest.fixture
def listener() -> Iterator[ScarceSocket]:
    with ScarceSocket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(100)
        sock.setblocking(False)
        yield sock


def run(
    listener: socket.socket, scenario: Callable[[Acceptor, list[Greeter]], Awaitable[None]]
) -> None:
    async def play() -> None:
        factory = Factory()
        acceptor = Acceptor(listener, factory)
        acceptor.start()
        try:
            await scenario(acceptor, factory.made)
        finally:
            acceptor.close()
            await acceptor.wait_closed()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(play())


@contextlib.contextmanager
def connect(listener: socket.socket, count: int) -> Iterator[list[socket.socket]]:
    clients = [socket.create_connection(listener.getsockname(), timeout=5) for _ in range(count)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


async def wait_turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_a_long_queue_is_taken_in_a_few_turns_of_the_loop(listener: ScarceSocket) -> None:
    async def scenario(acceptor: Acceptor, made: list[Greeter]) -> None:
        await wait_turns(15)
        assert len(made) == 60

    with connect(listener, 60):
        run(listener, scenario)


def test_a_short_queue_is_left_for_other_workers_too(listener: ScarceSocket) -> None:
    async def scenario(acceptor: Acceptor, made: list[Greeter]) -> None:
        for _ in range(100):
            before = len(made)
            await wait_turns(1)
            assert len(made) - before <= 2
        assert len(made) == 3

    with connect(listener, 3):
        run(listener, scenario)


@pytest.mark.parametrize("family", [socket.AF_INET6, socket.AF_UNIX])
def test_other_families_of_addresses_work(family: socket.AddressFamily, tmp_path: Path) -> None:
    async def scenario(acceptor: Acceptor, made: list[Greeter]) -> None:
        client.settimeout(5)
        assert await asyncio.to_thread(client.recv, 100) == b"hello"

    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind(str(tmp_path / "socket") if family == socket.AF_UNIX else ("::1", 0))
        listener.listen()
        listener.setblocking(False)
        client.connect(listener.getsockname())
        run(listener, scenario)


def test_without_a_descriptor_connections_wait_and_the_loop_does_not_spin(
    listener: ScarceSocket, caplog: pytest.LogCaptureFixture
) -> None:
    listener.refusals = 2

    async def scenario(acceptor: Acceptor, made: list[Greeter]) -> None:
        await asyncio.sleep(0.3)
        assert (listener.calls, len(made)) == (1, 0)
        assert await asyncio.to_thread(clients[0].recv, 100) == b"hello"

    with caplog.at_level(logging.ERROR), connect(listener, 1) as clients:
        run(listener, scenario)
    assert [record.getMessage() for record in caplog.records] == [
        "No connection can be accepted (Too many open files); new ones wait"
    ]


def test_a_connection_that_was_reset_while_it_waited_does_no_harm(listener: ScarceSocket) -> None:
    async def scenario(acceptor: Acceptor, made: list[Greeter]) -> None:
        assert await asyncio.to_thread(clients[1].recv, 100) == b"hello"

    with connect(listener, 2) as clients:
        clients[0].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        clients[0].close()
        run(listener, scenario)


def test_after_the_end_nothing_is_accepted_and_the_socket_is_open(listener: ScarceSocket) -> None:
    async def scenario(acceptor: Acceptor, made: list[Greeter]) -> None:
        acceptor.close()
        await asyncio.sleep(0.05)
        assert not made

    with connect(listener, 1):
        run(listener, scenario)
        connection, _ = listener.accept()
        connection.close()


def test_a_pause_ends_with_the_acceptor(listener: ScarceSocket) -> None:
    listener.refusals = 1

    async def scenario(acceptor: Acceptor, made: list[Greeter]) -> None:
        await asyncio.sleep(0.1)
        acceptor.close()
        await asyncio.sleep(0.6)
        assert (listener.calls, len(made)) == (1, 0)

    with connect(listener, 1):
        run(listener, scenario)
