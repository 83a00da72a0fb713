"""Every signal that gunicorn documents, under load."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from signal import Signals
from typing import NamedTuple

from tests.drills.client import Client
from tests.drills.instance import Daemon, Instance, is_alive, until
from tests.drills.load import Load
from tests.drills.report import Report

_RATE = 100
_QUICK_SECONDS = 3.0
_PAUSE_SECONDS = 0.5
_GRACE_SECONDS = 8
# After an effect, for what a stop has left behind.
_SETTLE_SECONDS = 0.3


class Ending(NamedTuple):
    """A way to stop a service.

    Args:
        name: of it, on the line.
        signals: what is sent, `_PAUSE_SECONDS` apart.
        hanging: requests in flight that do not end.
        bar: seconds it may take.
    """

    name: str
    signals: tuple[Signals, ...]
    hanging: int
    bar: float


# Without a second signal the last two would take the whole grace.
_ENDINGS = (
    Ending("TERM", (signal.SIGTERM,), 0, _GRACE_SECONDS),
    Ending("INT", (signal.SIGINT,), 2, _QUICK_SECONDS),
    Ending("QUIT", (signal.SIGQUIT,), 2, _QUICK_SECONDS),
    Ending("TERM, TERM", (signal.SIGTERM, signal.SIGTERM), 2, _PAUSE_SECONDS + _QUICK_SECONDS),
    Ending("TERM, INT", (signal.SIGTERM, signal.SIGINT), 2, _PAUSE_SECONDS + _QUICK_SECONDS),
)


async def run_signals(report: Report) -> None:
    """Send a service all signals that it survives, then start one for each way to stop it."""
    service = Daemon(report.folder / "service", stock=report.stock, DRAIN_SECONDS=0.5)
    with service:
        service.wait_until_up()
        async with Load(Client(service.port), _RATE) as load:
            await asyncio.sleep(0.5)
            await _Phases(report, service, load).run()
        report.note(load.describe())
    for ending in _ENDINGS:
        await _end(report, ending)


class _Phases:
    """The signals that a service survives, one after the other."""

    def __init__(self, report: Report, service: Daemon, load: Load) -> None:
        self._report = report
        self._service = service
        self._load = load

    async def run(self) -> None:
        service, first = self._service, self._service.pid
        await self._send("USR1", first, lambda: "signal: usr1" in service.output)
        await self._send("TTIN", first, lambda: len(service.alive) == 3)
        await self._send("TTOU", first, lambda: len(service.alive) == 2)
        old = set(service.alive)
        await self._send("HUP", first, lambda: self._are_new(old))

        await self._send("USR2", first, lambda: service.second and len(service.alive) == 4)
        await self._send("WINCH", first, lambda: len(service.alive) == 2)
        await self._send("QUIT", first, lambda: not is_alive(first))
        await until(lambda: service.pid not in {0, first}, "the second master is the first")

        # The other way: back to the old one.
        first, old = service.pid, set(service.alive)
        await self._send("USR2", first, lambda: service.second and len(service.alive) == 4)
        await self._send("WINCH", first, lambda: self._are_new(old))
        second = service.second
        await self._send("HUP", first, lambda: len(service.alive) == 4)
        await self._send("TERM", second, lambda: not is_alive(second))
        self._report.expect(service.pid == first, "after a rollback the first master serves")
        self._report.expect(len(service.alive) == 2, "with as many workers as before")

    def _are_new(self, old: set[int]) -> bool:
        now = set(self._service.alive)
        return len(now) == 2 and not now & old

    async def _send(self, name: str, pid: int, has_effect: Callable[[], object]) -> None:
        """Send a signal, wait for its effect, and note what it has cost."""
        before, failed = len(self._service.alive), len(self._load.failed)
        os.kill(pid, Signals[f"SIG{name}"])
        seconds = await until(has_effect, f"the effect of {name}")
        await asyncio.sleep(_SETTLE_SECONDS)
        failed = len(self._load.failed) - failed
        workers = f"{before} to {len(self._service.alive)} workers"
        self._report.note(f"{name} {workers} in {seconds:.1f} s, {failed} failed")
        self._report.expect(not failed, f"no request fails through {name}")


async def _end(report: Report, ending: Ending) -> None:
    folder = report.folder / ending.name.replace(", ", "-")
    with Instance(folder, stock=report.stock, GRACEFUL_TIMEOUT=_GRACE_SECONDS) as service:
        service.wait_until_up()
        workers = service.alive
        clients = [Client(service.port, patience=20) for _ in range(ending.hanging)]
        requests = [
            asyncio.create_task(client.fetch("/wait?seconds=60", fresh=True)) for client in clients
        ]
        async with Load(Client(service.port), _RATE):
            await asyncio.sleep(0.5)
            begun_at = time.monotonic()
            service.signal(ending.signals[0])
            for number in ending.signals[1:]:
                await asyncio.sleep(_PAUSE_SECONDS)
                service.signal(number)
            status = await asyncio.to_thread(service.wait)
            seconds = time.monotonic() - begun_at
        await asyncio.gather(*requests, return_exceptions=True)
        shut_down = sum(map(service.has_shut_down, workers))
        left = service.find_processes()
    report.note(
        f"{ending.name}: status {status} after {seconds:.1f} s, shutdown in {shut_down} of 2"
    )
    report.expect(status == 0, f"after {ending.name} the exit status is 0")
    report.expect(seconds < ending.bar, f"{ending.name} takes less than {ending.bar:g} s")
    report.expect(shut_down == 2, f"with {ending.name} the lifespan shuts down in every worker")
    report.expect(not left, f"{ending.name} leaves no process behind")
