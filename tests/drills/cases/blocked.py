"""A handler that blocks the event loop of its worker."""

from __future__ import annotations

import asyncio
import contextlib
import time

from tests.drills.client import Client, ExchangeFailed
from tests.drills.instance import Instance, find_worker, until
from tests.drills.load import Load, Sample, measure_p99
from tests.drills.report import Report

_TIMEOUT_SECONDS = 5
_LOW_SECONDS = 0.25
# A request may be due a little before the worker is blocked, and meet it then.
_MOMENT_SECONDS = 1.0


async def run_blocked(report: Report) -> None:
    """Block a worker for 3 s, then one for a minute."""
    with Instance(
        report.folder / "service",
        stock=report.stock,
        WORKER_TIMEOUT=_TIMEOUT_SECONDS,
        GRACEFUL_TIMEOUT=4,
    ) as service:
        service.wait_until_up()
        async with Load(Client(service.port), 100) as load:
            await asyncio.sleep(1)
            slow = await _block(service.port, 3)
            await asyncio.sleep(0.5)
            short = list(load.samples)
            stuck_at = time.monotonic()
            hanging = asyncio.create_task(_block(service.port, 60))
            alive = set(service.alive)
            seconds = await until(lambda: alive - set(service.alive), "the blocked worker is ended")
            again = await until(lambda: len(service.alive) == 2, "there are two again")
            victim = await hanging
        named = [event for event in service.output.splitlines() if _names_the_line(event)]
    long = [sample for sample in load.samples if sample.due_at > stuck_at]
    strays = [
        sample
        for sample in load.failed
        if sample.worker not in {"", victim} or sample.due_at < stuck_at - _MOMENT_SECONDS
    ]
    failed = sum(bool(sample.failure) for sample in short)
    p99_long = measure_p99(_leave_out(long, victim))
    p99 = measure_p99(_leave_out(short, slow))
    report.note(f"3 s: {failed} failed, p99 of the other worker {p99 * 1000:.0f} ms")
    report.note(
        f"60 s: ended after {seconds:.1f} s and replaced {again:.1f} s later, {len(load.failed)} "
        f"failed, p99 of the others {p99_long * 1000:.0f} ms"
    )
    report.note(f"{len(named)} events that name the line")
    report.expect(len(named) == 2, "each time one event names the line that blocks")
    report.expect(failed == 0, "nothing fails while a worker is blocked for 3 s")
    report.expect(p99 < _LOW_SECONDS, "the other worker is as fast as ever")
    report.expect(p99_long < _LOW_SECONDS, "so are the others in the minute")
    report.expect(
        _TIMEOUT_SECONDS - 2 < seconds < 2.5 * _TIMEOUT_SECONDS,
        "a worker that hangs is ended after `timeout`",
    )
    report.expect(not strays, f"only requests on the hanging worker fail, not {strays[:3]}")


async def _block(port: int, seconds: float) -> str:
    """Block a worker, and return which one it was when that is over, or when it has died of it."""
    client = Client(port, patience=30)
    worker = str(await find_worker(client))
    with contextlib.suppress(ExchangeFailed):
        await client.fetch(f"/block?seconds={seconds}")
    client.close()
    return worker


def _names_the_line(event: str) -> bool:
    return "event loop is blocked" in event and "tests/drills/sample.py" in event


def _leave_out(samples: list[Sample], worker: str) -> list[Sample]:
    return [sample for sample in samples if sample.worker not in {"", worker}]
