"""A handler that blocks the event loop of its worker."""

from __future__ import annotations

import asyncio
import contextlib
import time

from tests.drills.client import Client, ExchangeFailed
from tests.drills.instance import Instance, find_worker, is_alive, until
from tests.drills.load import Load, measure_p99
from tests.drills.report import Report

_TIMEOUT_SECONDS = 5
_LOW_SECONDS = 0.25


async def run_blocked(report: Report) -> None:
    """Block a worker for 3 s, then one for a minute."""
    with Instance(
        report.folder / "service",
        stock=report.stock,
        WORKER_TIMEOUT=_TIMEOUT_SECONDS,
        GRACEFUL_TIMEOUT=4,
    ) as service:
        service.wait_until_up()
        begun_at = time.monotonic()
        async with Load(Client(service.port), 100) as load:
            await asyncio.sleep(1)
            held = Client(service.port)
            slow = await find_worker(held)
            await held.fetch("/block?seconds=3")
            await asyncio.sleep(0.5)
            short = [s for s in load.samples if s.worker not in {"", str(slow)}]
            failed = len(load.failed)
            stuck = Client(service.port, patience=20)
            victim = await find_worker(stuck)
            request = asyncio.create_task(_block_for_long(stuck))
            seconds = await until(lambda: not is_alive(victim), "the blocked worker is ended")
            again = await until(lambda: len(service.alive) == 2, "there are two again")
            long = [
                s for s in load.samples[len(short) :] if s.worker not in {"", str(slow), str(victim)}
            ]
            await request
    strays = [
        sample
        for sample in load.failed
        if sample.worker not in {"", str(victim)} or sample.due_at < begun_at + 4
    ]
    p99 = measure_p99(short)
    report.note(f"3 s: {failed} failed, p99 of the other worker {p99 * 1000:.0f} ms")
    report.note(
        f"60 s: ended after {seconds:.1f} s and replaced {again:.1f} s later, {len(load.failed)} "
        f"failed, p99 of the others {measure_p99(long) * 1000:.0f} ms"
    )
    report.expect(failed == 0, "nothing fails while a worker is blocked for 3 s")
    report.expect(p99 < _LOW_SECONDS, "the other worker is as fast as ever")
    report.expect(measure_p99(long) < _LOW_SECONDS, "so are the others in the minute")
    report.expect(seconds < 2.5 * _TIMEOUT_SECONDS, "a worker that hangs is ended after `timeout`")
    report.expect(not strays, f"only requests on the hanging worker fail, not {strays[:3]}")


async def _block_for_long(client: Client) -> None:
    with contextlib.suppress(ExchangeFailed):
        await client.fetch("/block?seconds=60")
