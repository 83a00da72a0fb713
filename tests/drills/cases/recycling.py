"""Workers that have had their number of requests."""

from __future__ import annotations

import asyncio

from tests.drills.client import Client
from tests.drills.instance import Instance
from tests.drills.load import Load
from tests.drills.report import Report


async def run_recycling(report: Report) -> None:
    """Let workers be replaced every other second."""
    with Instance(
        report.folder / "service",
        stock=report.stock,
        MAX_REQUESTS=200,
        MAX_REQUESTS_JITTER=100,
        STARTUP_SECONDS=0.3,
        DRAIN_SECONDS=0.5,
    ) as service:
        service.wait_until_up()
        async with Load(Client(service.port), 200) as load:
            await asyncio.sleep(12)
        recycled = len(service.started) - 2
    report.note(f"{recycled} workers replaced; {load.describe()}")
    report.expect(recycled >= 3, "at least 3 workers are replaced")
    report.expect(not load.failed, "no request fails")
