"""A worker that dies while no other one can start."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.drills.cases.kill import was_in_flight
from tests.drills.client import Client
from tests.drills.instance import Instance, is_alive, until
from tests.drills.load import Load
from tests.drills.report import Report


async def run_respawn(report: Report) -> None:
    """Kill a worker and let its successors fail for a while."""
    with Instance(report.folder / "service", stock=report.stock) as service:
        service.wait_until_up()
        marker = service.folder / "fail-startup"
        async with Load(Client(service.port), 100) as load:
            await asyncio.sleep(1)
            marker.touch()
            victim, other = sorted(service.alive)
            os.kill(victim, signal.SIGKILL)
            deaths = {str(victim): time.monotonic()}
            await asyncio.sleep(4)
            lives = is_alive(service.pid) and is_alive(other)
            marker.unlink()
            seconds = 0.0
            if lives:
                seconds = await until(lambda: len(service.alive) == 2, "there are two again")
        tries = service.output.count("could not start")
    strays = [sample for sample in load.failed if not was_in_flight(sample, deaths)]
    report.note(f"{tries} failed starts in 4 s, two workers {seconds:.1f} s after the last")
    report.note(load.describe())
    report.expect(lives, "the other worker goes on")
    report.expect(not strays, f"only what was in flight on the victim fails, not {strays[:3]}")
    report.expect(report.stock or 1 <= tries <= 6, "it is tried again, at intervals")
