"""The suite of `make bench`: what it costs to dispatch a request, beside the peers."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final

from load.bench.cases import build_table, list_cases
from load.bench.exchange import Exchange
from load.bench.measurements import Batches, Prepared

OWN_ADAPTER: Final = "slipway"


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


async def prepare(subject: str, rows: Sequence[str], stack: AsyncExitStack) -> Prepared:
    """Build, start, check and warm up the applications of one framework.

    Raises:
        RuntimeError: It gives a wrong answer.
    """
    adapter = importlib.import_module(f"load.bench.adapters.{subject}")
    name = adapter.DISTRIBUTION
    prepared = Prepared({"version": importlib.metadata.version(name) if name else ""})
    apps: dict[tuple[int, str], Any] = {}
    for case in list_cases(own=subject == OWN_ADAPTER):
        if rows and case.name not in rows:
            continue
        table = (case.size, case.position)
        if table not in apps:
            apps[table] = adapter.build(build_table(*table))
            driver = LifespanDriver(apps[table])
            stack.push_async_callback(driver.stop)
            await driver.start()
        exchange = Exchange(case, adapter.WRONG_METHOD_STATUS)
        await exchange.check(apps[table])
        batches = Batches(partial(exchange.time, apps[table]))
        await batches.warm_up()
        prepared.measurements[case.name] = batches
    return prepared
