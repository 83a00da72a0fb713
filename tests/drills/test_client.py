"""The drills say "0 failed": their client has to see every way in which a request fails."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

import pytest

from tests.drills.client import (
    EOF_BEFORE,
    EOF_WITHIN,
    GARBLED,
    HOST,
    REFUSED,
    RESET,
    TIMED_OUT,
    Answer,
    Client,
    ExchangeFailed,
)
from tests.drills.load import Load, find_percentile
from tests.ports import find_free_port

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Worker: 7\r\n\r\nok"


def serve_once(
    *parts: bytes, ends_with: str = "EOF"
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await asyncio.sleep(0.01)
        if ends_with == "reset":
            sock: socket.socket = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if ends_with == "nothing":
            await reader.read()
        writer.close()

    return handle


def ask(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    patience: float = 10,
) -> Answer:
    async def play() -> Answer:
        async with await asyncio.start_server(handle, HOST, 0) as server:
            client = Client(server.sockets[0].getsockname()[1], patience=patience)
            try:
                return await client.fetch()
            finally:
                client.close()
                # The other end has to notice.
                await asyncio.sleep(0.02)

    return asyncio.run(play())


def test_an_answer_in_parts_is_whole_when_its_last_byte_has_come() -> None:
    answer = ask(serve_once(WHOLE[:10], WHOLE[10:-1], WHOLE[-1:]))
    assert (answer.status, answer.body, answer.fields["x-worker"]) == (200, b"ok", "7")


@pytest.mark.parametrize(
    ("parts", "end", "kind"),
    [
        ((), "EOF", EOF_BEFORE),
        ((WHOLE[:-1],), "EOF", EOF_WITHIN),
        ((), "reset", RESET),
        ((WHOLE[:-1],), "reset", RESET),
        ((), "nothing", TIMED_OUT),
        ((WHOLE[:-1],), "nothing", TIMED_OUT),
        ((b"what?\r\n\r\n",), "nothing", GARBLED),
    ],
)
def test_each_failure_has_its_name(parts: tuple[bytes, ...], end: str, kind: str) -> None:
    with pytest.raises(ExchangeFailed) as caught:
        ask(serve_once(*parts, ends_with=end), 0.3 if kind == TIMED_OUT else 10)
    assert caught.value.kind == kind


def test_a_port_on_which_nobody_listens_refuses() -> None:
    with pytest.raises(ExchangeFailed) as caught:
        asyncio.run(Client(find_free_port()).fetch())
    assert caught.value.kind == REFUSED


def test_a_latency_counts_from_when_the_request_was_due() -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.2)
        writer.write(WHOLE)
        writer.close()

    async def play() -> Load:
        async with await asyncio.start_server(handle, HOST, 0) as server:
            client = Client(server.sockets[0].getsockname()[1])
            async with Load(client, 100, fresh_every=1) as load:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.02)
        return load

    load = asyncio.run(play())
    assert len(load.samples) >= 5, "requests start while the ones before them wait"
    assert not load.failed
    assert all(sample.seconds >= 0.2 for sample in load.samples)


def test_another_status_is_a_failure() -> None:
    async def play() -> Load:
        handle = serve_once(b"HTTP/1.1 502 .\r\nContent-Length: 0\r\n\r\n")
        async with await asyncio.start_server(handle, HOST, 0) as server:
            client = Client(server.sockets[0].getsockname()[1])
            async with Load(client, 50, fresh_every=1) as load:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)
        return load

    load = asyncio.run(play())
    assert {sample.failure for sample in load.samples} == {"status 502"}


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert find_percentile(values, 0.99) == 99
    assert find_percentile(values, 0.5) == 50
    assert find_percentile([3.0], 0.99) == 3
