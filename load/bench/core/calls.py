"""What is measured without a connection: plain calls, and programs in fresh processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from load.bench.measurements import Batches
from load.bench.peers import ROOT


class Calls:
    """A function that is called with an argument of its own each time."""

    __slots__ = ("build", "function")

    def __init__(self, function: Callable[[Any], Any], build: Callable[[], Any]) -> None:
        self.function = function
        self.build = build

    async def time(self, number: int) -> int:
        """Return the nanoseconds that `number` calls take; the arguments are made before."""
        function, arguments = self.function, [self.build() for _ in range(number)]
        begin = time.process_time_ns()
        for argument in arguments:
            function(argument)
        return time.process_time_ns() - begin


async def measure_calls(
    function: Callable[[Any], Any], build: Callable[[], Any], expected: Any
) -> Batches:
    """Check what a function returns, then return its measurement.

    Raises:
        RuntimeError: It returns something else.
    """
    result = function(build())
    if result != expected:
        raise RuntimeError(f"{function.__qualname__}: {result!r} instead of {expected!r}")
    batches = Batches(Calls(function, build).time, least=1)
    await batches.warm_up()
    return batches


class Program:
    """A program in a fresh process, which prints its own figure."""

    __slots__ = ("command", "environment")

    def __init__(self, *arguments: str, bytecode: Path | None = None) -> None:
        self.command = (sys.executable, *arguments)
        self.environment = dict(os.environ)
        if bytecode is not None:
            # The first run fills the folder with bytecode, whatever this machine is set to.
            self.environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
            self.environment.pop("PYTHONDONTWRITEBYTECODE", None)

    async def run(self, seconds: float) -> float:
        """Run it once, however long that takes."""
        del seconds
        result = await asyncio.to_thread(
            subprocess.run,
            self.command,
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"{' '.join(self.command)} failed: {result.stderr.strip()}")
        return float(result.stdout)
