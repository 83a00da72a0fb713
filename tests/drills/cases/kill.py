"""Workers that die."""

from __future__ import annotations

import asyncio
import os
import signal
import time

from tests.drills.client import EOF_BEFORE, EOF_WITHIN, RESET, Client
from tests.drills.instance import Instance, until
from tests.drills.load import Load, Sample
from tests.drills.report import Report

_KILLS = 5
# A request may be written in the moment in which its connection is lost.
_MOMENT_SECONDS = 0.05


async def run_kill(report: Report) -> None:
    """Kill a worker every two seconds."""
    deaths: dict[str, float] = {}
    slowest = 0.0
    with Instance(report.folder / "service", stock=report.stock) as service:
        service.wait_until_up()
        async with Load(Client(service.port), 200, "/wait?seconds=0.03") as load:
            await asyncio.sleep(1)
            for _ in range(_KILLS):
                victim = min(service.alive)
                os.kill(victim, signal.SIGKILL)
                deaths[str(victim)] = time.monotonic()
                await until(lambda: len(service.alive) < 2, "it is dead")
                seconds = await until(lambda: len(service.alive) == 2, "there are two again")
                slowest = max(slowest, seconds)
                await asyncio.sleep(max(0.0, 2 - seconds))
    strays = [sample for sample in load.failed if not was_in_flight(sample, deaths)]
    report.note(f"{_KILLS} killed, replaced after at most {slowest:.1f} s; {load.describe()}")
    report.expect(not strays, f"only what was in flight on a victim fails, not {strays[:3]}")


def was_in_flight(sample: Sample, deaths: dict[str, float]) -> bool:
    """Say whether a request failed because a worker died that was at work on it.

    Over a fresh connection nobody knows which worker that was.
    """
    if sample.failure not in {EOF_BEFORE, EOF_WITHIN, RESET}:
        return False
    times = [deaths[sample.worker]] if sample.worker in deaths else []
    if not sample.worker:
        times = list(deaths.values())
    ended_at = sample.due_at + sample.seconds
    return any(
        sample.due_at <= death + _MOMENT_SECONDS and ended_at >= death - _MOMENT_SECONDS
        for death in times
    )
