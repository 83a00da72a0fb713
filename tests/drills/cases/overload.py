"""Five times as many requests as can be served."""

from __future__ import annotations

import asyncio
import time

from tests.drills.client import Client, ExchangeFailed
from tests.drills.instance import Instance
from tests.drills.load import Load, find_percentile, measure_p99
from tests.drills.report import Report

_PEAK_CLIENTS = 8
_PEAK_SECONDS = 3.0
_OVERLOAD_SECONDS = 6.0
_FACTOR = 5
_QUICK_SECONDS = 0.1


async def run_overload(report: Report) -> None:
    """Find the peak of a handler of 5 ms, send five times of it, and look how it ends."""
    with Instance(report.folder / "service", stock=report.stock, WEB_CONCURRENCY=1, PLACES=16) as (
        service
    ):
        service.wait_until_up()
        peak = await _find_peak(service.port)
        lives: list[float] = []
        checks = asyncio.create_task(_check_health(service.port, lives))
        client = Client(service.port)
        async with Load(client, _FACTOR * peak, "/work", fresh_every=2, allowed=[503]) as load:
            begun_at = time.monotonic()
            await asyncio.sleep(_OVERLOAD_SECONDS)
            ended_at = time.monotonic()
            checks.cancel()
            recovery = asyncio.create_task(_wait_until_quick(service.port))
        seconds = await recovery
    served = [s for s in load.samples if s.status == 200]
    # The first second is the way into the overload.
    goodput = sum(begun_at + 1 <= s.due_at + s.seconds <= ended_at for s in served)
    share = goodput / (_OVERLOAD_SECONDS - 1) / peak
    p99 = measure_p99(served)
    alive = sum(each < 1 for each in lives)
    refused = find_percentile((s.seconds for s in load.samples if s.status == 503), 0.99)
    report.note(f"peak {peak:.0f}/s, asked {_FACTOR * peak:.0f}/s, goodput {share:.0%} of the peak")
    report.note(f"{load.describe()}; p99 of a 503 {refused * 1000:.0f} ms")
    report.note(f"/livez {alive} of {len(lives)} within 1 s; normal {seconds:.1f} s after")
    report.note(f"the load was late by {load.lag * 1000:.0f} ms at most")
    report.expect(share >= 0.9, "goodput is at least 90 % of the peak")
    report.expect(p99 < 1.0, "what is admitted is answered within a second")
    report.expect(alive == len(lives) > 5, "/livez answers within a second, always")
    report.expect(seconds < 2.0, "it is back to normal within 2 s")
    report.expect(not load.failed, "every request gets 200 or 503")


async def _find_peak(port: int) -> float:
    """Return how many requests a second a few clients get that wait for each answer."""
    begun_at = time.monotonic()
    counts = await asyncio.gather(*(_ask_for(port, _PEAK_SECONDS) for _ in range(_PEAK_CLIENTS)))
    return sum(counts) / (time.monotonic() - begun_at)


async def _ask_for(port: int, seconds: float) -> int:
    client = Client(port)
    end = time.monotonic() + seconds
    count = 0
    while time.monotonic() < end:
        await client.fetch("/work")
        count += 1
    client.close()
    return count


async def _check_health(port: int, lives: list[float]) -> None:
    while True:
        begun_at = time.monotonic()
        try:
            await Client(port, patience=5).fetch("/livez", fresh=True)
        except ExchangeFailed:
            lives.append(5.0)
        else:
            lives.append(time.monotonic() - begun_at)
        await asyncio.sleep(0.25)


async def _wait_until_quick(port: int) -> float:
    """Return the seconds until five requests in a row are quick."""
    begun_at = time.monotonic()
    quick_since, count = begun_at, 0
    while count < 5 and time.monotonic() < begun_at + 30:
        asked_at = time.monotonic()
        try:
            answer = await Client(port).fetch("/work", fresh=True)
        except ExchangeFailed:
            count = 0
            continue
        if answer.status == 200 and time.monotonic() - asked_at < _QUICK_SECONDS:
            quick_since = asked_at if count == 0 else quick_since
            count += 1
        else:
            count = 0
            await asyncio.sleep(0.02)
    return quick_since - begun_at if count == 5 else time.monotonic() - begun_at
