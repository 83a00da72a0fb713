"""Runs the measuring processes in turns, so that whatever drifts on the machine hits all alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from load.bench.peers import ROOT

OWN: Final = "slipway"
BARE: Final = "bare"
PEERS: Final = ("starlette", "fastapi", "litestar", "blacksheep", "falcon")
FRAMEWORKS: Final = (OWN, BARE, *PEERS)
DISPATCH: Final = "load.bench.dispatch"
STOP_TIMEOUT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a run takes: `rounds` rounds of batches that last `batch_seconds` each."""

    rounds: int = 21
    batch_seconds: float = 0.01


@dataclass(slots=True)
class Results:
    """The figure of every round, by framework and row, and what the processes ran on."""

    plan: Plan
    samples: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)


class Worker:
    """A measuring process and the conversation with it.

    `rows` says in each how many rounds a row is measured; it is known once the process is ready.
    """

    __slots__ = ("name", "process", "rows")

    def __init__(self, suite: str, name: str, python: Path, rows: Sequence[str] = ()) -> None:
        self.name = name
        self.rows: dict[str, int] = {}
        self.process = subprocess.Popen(
            [python, "-m", "load.bench.worker", suite, name, *rows],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            # Ctrl-C reaches the controller only, which ends the others by ending their input.
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        )

    def wait_until_ready(self) -> dict[str, str]:
        """Wait until everything is built and checked; return the versions it runs on."""
        introduction = self._read()
        self.rows = introduction["rows"]
        ready: dict[str, str] = introduction["ready"]
        return ready

    def run(self, row: str, seconds: float) -> float:
        """Let it measure one batch and return the figure."""
        stdin = self.process.stdin
        if stdin is None:
            raise RuntimeError("the measuring process has no input")
        stdin.write(json.dumps({"row": row, "seconds": seconds}) + "\n")
        stdin.flush()
        return float(self._read()["value"])

    def stop(self) -> None:
        """End the process by ending its input; kill it when that does not help."""
        try:
            self.process.communicate(timeout=STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def _read(self) -> dict[str, Any]:
        stdout = self.process.stdout
        line = stdout.readline() if stdout is not None else ""
        if not line:
            raise RuntimeError(
                f"the measuring process of {self.name!r} ended: its last words are above"
            )
        answer: dict[str, Any] = json.loads(line)
        return answer


class Workers:
    """All measuring processes of a run: started together, stopped together."""

    __slots__ = ("workers",)

    def __init__(self, suite: str, pythons: Mapping[str, Path], rows: Sequence[str]) -> None:
        self.workers = [Worker(suite, name, python, rows) for name, python in pythons.items()]

    def __enter__(self) -> list[Worker]:
        return self.workers

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.stop()


def measure(
    pythons: Mapping[str, Path], plan: Plan, *, suite: str = DISPATCH, rows: Sequence[str] = ()
) -> Results:
    """Measure every framework (name to interpreter) on every row of a suite, or on those named.

    Raises:
        RuntimeError: A framework does not start or gives a wrong answer.
    """
    results = Results(plan)
    with Workers(suite, pythons, rows) as workers:
        for worker in workers:
            results.versions[worker.name] = worker.wait_until_ready()
            results.samples[worker.name] = {}
        for number in range(plan.rounds):
            _show_progress(number + 1, plan.rounds)
            for worker, row in _list_turns(workers, number):
                sample = worker.run(row, plan.batch_seconds)
                results.samples[worker.name].setdefault(row, []).append(sample)
    return results


def _list_turns(workers: Sequence[Worker], number: int) -> Iterator[tuple[Worker, str]]:
    # Row by row through all frameworks, and each round another framework begins.
    first = number % len(workers)
    order = [*workers[first:], *workers[:first]]
    for row in dict.fromkeys(row for worker in workers for row in worker.rows):
        for worker in order:
            if row in worker.rows and number % worker.rows[row] == 0:
                yield worker, row


def _show_progress(number: int, rounds: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if number == rounds else ""
        print(f"\rround {number} of {rounds}", end=end, file=sys.stderr, flush=True)
