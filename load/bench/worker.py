"""The measuring process: one framework, driven batch by batch from the controller.

It speaks lines of JSON on its standard input and output:

* out `{"ready": ...}` once every application is built, started, checked and warmed up;
* in `{"case": name, "seconds": s}`, out `{"us": microseconds a request, "requests": n}`;
* the end of the input ends the process.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Coroutine
from types import ModuleType
from typing import Any, Final, TextIO

import uvloop

from load.bench.cases import Case, build_table, list_cases
from load.bench.exchange import Exchange

WARM_UP_SECONDS: Final = 0.05
OWN_ADAPTER: Final = "slipway"


class Measurement:
    """One case bound to its application, with the batch size learnt while warming up."""

    __slots__ = ("app", "case", "exchange", "us_estimate")

    def __init__(self, case: Case, app: Any, wrong_method_status: int) -> None:
        self.case = case
        self.app = app
        self.exchange = Exchange(case, wrong_method_status)
        self.us_estimate = 50.0

    async def warm_up(self) -> None:
        """Run long enough for caches to fill and for a good guess of the time of one request."""
        for _ in range(2):
            result = await self.run(WARM_UP_SECONDS / 2)
            self.us_estimate = max(result["us"], 0.05)

    async def run(self, seconds: float) -> dict[str, float]:
        """Time a batch that should last `seconds`; return µs a request, loop overhead taken off."""
        number = max(5, int(seconds * 1e6 / (self.us_estimate + 0.5)))
        gc.collect()
        overhead = self.exchange.time_scopes(number)
        elapsed = await self.exchange.time_requests(self.app, number)
        return {"us": (elapsed - overhead) / number / 1e3, "requests": number}


class LifespanDriver:
    """Runs an application's lifespan, as a server does, and keeps it open."""

    __slots__ = ("app", "complete", "done", "task")

    def __init__(self, app: Any) -> None:
        self.app = app
        self.complete = asyncio.Event()
        self.done = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the application; one without a lifespan ends at once, which is as good."""
        self.task = asyncio.create_task(self._run())
        await self.complete.wait()

    async def stop(self) -> None:
        """Shut the application down."""
        self.done.set()
        if self.task is not None:
            await self.task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        messages = iter(("lifespan.startup", "lifespan.shutdown"))
        try:
            await self.app(scope, lambda: self._receive(next(messages)), self._send)
        finally:
            self.complete.set()

    async def _receive(self, kind: str) -> dict[str, str]:
        if kind == "lifespan.shutdown":
            await self.done.wait()
        return {"type": kind}

    async def _send(self, message: dict[str, str]) -> None:
        if message["type"].endswith(".failed"):
            raise RuntimeError(f"start-up or shutdown failed: {message!r}")
        self.complete.set()


async def serve(adapter_name: str, commands: TextIO, answers: TextIO) -> None:
    """Build, check and warm up everything, then run batches until the input ends."""
    adapter = importlib.import_module(f"load.bench.adapters.{adapter_name}")
    drivers: list[LifespanDriver] = []
    measurements = await _prepare(adapter, adapter_name == OWN_ADAPTER, drivers)
    # What exists now lives for the whole run: without this a full collection inside a batch would
    # be charged with walking ten thousand routes, which a service does not do per request either.
    gc.collect()
    gc.freeze()
    _write(answers, {"ready": _describe(adapter)})
    # Reading blocks the loop on purpose: between two batches nothing must run.
    while line := commands.readline():
        command = json.loads(line)
        _write(answers, await measurements[command["case"]].run(command["seconds"]))
    for driver in drivers:
        await driver.stop()


async def _prepare(
    adapter: ModuleType, own: bool, drivers: list[LifespanDriver]
) -> dict[str, Measurement]:
    apps: dict[tuple[int, str], Any] = {}
    measurements = {}
    for case in list_cases(own=own):
        table = (case.size, case.position)
        if table not in apps:
            apps[table] = adapter.build(build_table(*table))
            drivers.append(LifespanDriver(apps[table]))
            await drivers[-1].start()
        measurement = Measurement(case, apps[table], adapter.WRONG_METHOD_STATUS)
        await measurement.exchange.check(measurement.app)
        await measurement.warm_up()
        measurements[case.name] = measurement
    return measurements


def _describe(adapter: ModuleType) -> dict[str, str]:
    name = adapter.DISTRIBUTION
    return {
        "version": importlib.metadata.version(name) if name else "",
        "python": platform.python_version(),
        "uvloop": importlib.metadata.version("uvloop"),
        "msgspec": importlib.metadata.version("msgspec"),
    }


def _write(stream: TextIO, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def main() -> None:
    """Run the process named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("adapter")
    options = parser.parse_args()
    # A framework that prints must not get into the conversation: fd 1 becomes standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    conversation: Coroutine[Any, Any, None] = serve(options.adapter, sys.stdin, answers)
    uvloop.run(conversation)


if __name__ == "__main__":
    main()
