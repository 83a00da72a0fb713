"""Many requests, and clients that go away in the middle of them."""

from __future__ import annotations

import asyncio
import contextlib
import time

from tests.drills.client import Client, ExchangeFailed
from tests.drills.instance import Instance, count_descriptors, read_rss
from tests.drills.report import Report

_REQUESTS = 100_000
_WARM_UP = 20_000
_CLIENTS = 24
_ABORT_EVERY = 25
_MAX_GROWTH_BYTES = 6 * 1024 * 1024
_MAX_NEW_DESCRIPTORS = 5

_ABORTED = (
    b"POST /take HTTP/1.1\r\nHost: drill\r\nContent-Length: 100000\r\n\r\nhalf of it",
    b"GET /large?bytes=5000000 HTTP/1.1\r\nHost: drill\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: drill\r\n\r\n",
    b"GET / HTTP/1.1\r\nX",
    b"GET /wait?seconds=0.2 HTTP/1.1\r\nHost: drill\r\n\r\n",
)


async def run_soak(report: Report) -> None:
    """Ask a worker 100,000 times, with an abort after every 25th request."""
    with Instance(
        report.folder / "service",
        stock=report.stock,
        WEB_CONCURRENCY=1,
        MAX_REQUESTS=0,
        LOG_LEVEL="WARNING",
    ) as service:
        service.wait_until_up()
        pid = service.alive[0]
        await _ask(service.port, _WARM_UP)
        await asyncio.sleep(1)
        rss, descriptors = read_rss(pid), count_descriptors(pid)
        begun_at = time.monotonic()
        failed = await _ask(service.port, _REQUESTS)
        rate = _REQUESTS / (time.monotonic() - begun_at)
        await asyncio.sleep(1)
        growth, new = read_rss(pid) - rss, count_descriptors(pid) - descriptors
        lines = service.output.count("\n")
    report.note(f"{_REQUESTS} requests at {rate:.0f}/s, {_REQUESTS // _ABORT_EVERY} aborted more")
    report.note(
        f"{failed} failed; {growth / 1024:+.0f} KB, {new:+d} descriptors; {lines} log lines"
    )
    report.expect(failed == 0, "no request fails")
    report.expect(growth < _MAX_GROWTH_BYTES, "memory stays as it was")
    report.expect(new <= _MAX_NEW_DESCRIPTORS, "so do descriptors")
    report.expect(lines < 100, "aborts are not logged as errors")


async def _ask(port: int, requests: int) -> int:
    counts = await asyncio.gather(
        *(_ask_in_turn(port, requests // _CLIENTS + 1, number) for number in range(_CLIENTS))
    )
    return sum(counts)


async def _ask_in_turn(port: int, requests: int, number: int) -> int:
    client = Client(port)
    failed = 0
    for count in range(requests):
        try:
            failed += (await client.fetch("/")).status != 200
        except ExchangeFailed:
            failed += 1
        if count % _ABORT_EVERY == number:
            await _abort(client, _ABORTED[(count + number) % len(_ABORTED)])
    client.close()
    return failed


async def _abort(client: Client, request: bytes) -> None:
    connection = await client.connect()
    exchange = asyncio.create_task(connection.exchange(request))
    await asyncio.sleep(0.005)
    connection.abort()
    with contextlib.suppress(ExchangeFailed, asyncio.CancelledError):
        exchange.cancel()
        await exchange
