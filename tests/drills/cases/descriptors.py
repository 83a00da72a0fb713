"""A worker that may not open another file."""

from __future__ import annotations

import asyncio
import contextlib
import math
import resource
import time

from tests.drills.client import Client, Connection, ExchangeFailed
from tests.drills.instance import Instance, count_descriptors, find_worker, read_cpu_seconds
from tests.drills.report import Report

_ROOM = 20
_CLIENTS = 60
_FULL_SECONDS = 3.0


async def run_descriptors(report: Report) -> None:
    """Open more connections than a worker has descriptors, then close them."""
    with Instance(report.folder / "service", stock=report.stock, WEB_CONCURRENCY=1) as service:
        service.wait_until_up()
        kept = Client(service.port)
        pid = await find_worker(kept)
        limit = count_descriptors(pid) + _ROOM
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, limit))
        crowd = [await Client(service.port).connect() for _ in range(_CLIENTS)]
        await asyncio.sleep(0.5)
        waiting = asyncio.create_task(_ask(service.port))
        used = read_cpu_seconds(pid)
        quick = 0
        end = time.monotonic() + _FULL_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(ExchangeFailed):
                quick += (await kept.fetch("/")).status == 200
            await asyncio.sleep(0.1)
        load = (read_cpu_seconds(pid) - used) / _FULL_SECONDS
        dropped = sum(not connection.is_open for connection in crowd)
        seconds = await _leave(service.port, crowd, waiting)
        lines = service.output.count("\n")
    report.note(f"{_CLIENTS} connections with room for {_ROOM}: {dropped} dropped")
    report.note(f"{load:.0%} of a CPU while full, {quick} requests on an open connection")
    report.note(f"new ones answered {seconds:.1f} s after; {lines} lines of log")
    report.expect(dropped == 0, "those that find no room wait and are not dropped")
    report.expect(load < 0.3, "a full worker is no busy worker")
    report.expect(quick > 10, "connections that are open are served")
    report.expect(seconds < 3, "who has waited is answered when there is room")
    report.expect(lines < 100, "it is not logged again and again")


async def _ask(port: int) -> int:
    try:
        return (await Client(port, patience=15).fetch("/", fresh=True)).status
    except ExchangeFailed:
        return 0


async def _leave(port: int, crowd: list[Connection], waiting: asyncio.Task[int]) -> float:
    """Close them all; return the seconds until who has waited and one who comes are answered."""
    begun_at = time.monotonic()
    for connection in crowd:
        connection.close()
    waited, came = await asyncio.gather(waiting, _ask(port))
    return time.monotonic() - begun_at if waited == came == 200 else math.inf
