"""SIGHUP under load."""

from __future__ import annotations

import asyncio
import functools
import signal

from tests.drills.client import Client
from tests.drills.instance import Instance, until
from tests.drills.load import Load
from tests.drills.report import Report

_RELOADS = 5


async def run_reload(report: Report) -> None:
    """Reload a service whose start takes a second five times under load."""
    with Instance(
        report.folder / "service", stock=report.stock, STARTUP_SECONDS=1, DRAIN_SECONDS=0.5
    ) as service:
        service.wait_until_up()
        slowest = 0.0
        async with Load(Client(service.port), 200) as load:
            await asyncio.sleep(1)
            for _ in range(_RELOADS):
                old = set(service.alive)
                service.signal(signal.SIGHUP)
                seconds = await until(
                    functools.partial(_are_replaced, service, old), "all workers are replaced"
                )
                slowest = max(slowest, seconds)
            await asyncio.sleep(1)
    report.note(f"{_RELOADS} reloads of at most {slowest:.1f} s; {load.describe()}")
    report.expect(not load.failed, "no request fails")
    worst = max(sample.seconds for sample in load.samples)
    report.expect(worst < 1.0, "no request waits as long as a start takes")


def _are_replaced(service: Instance, old: set[int]) -> bool:
    now = set(service.alive)
    return len(now) == 2 and not now & old
