"""Periodic tasks: when they run, and on one process of the machine only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from framework.background import observe_background_tasks
from framework.tasks import RUN_DIRECTORY_VARIABLE, TaskSupervisor
from framework.tasks._lock import ProcessLock

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


class Runs(list[float]):
    """When a task has begun."""

    async def __call__(self) -> None:
        self.append(time.monotonic())


async def wait_for(condition: Callable[[], object]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - the condition is a list that somebody fills
            await anyio.sleep(0.01)


async def test_a_periodic_task_runs_at_start_and_then_at_its_interval() -> None:
    runs, tasks = Runs(), TaskSupervisor()
    tasks.every(0.1, "tick", runs, jitter=0)
    async with tasks.open():
        await anyio.sleep(0.05)
        assert not runs, "it waits until the application has started"
        tasks.begin()
        await wait_for(lambda: len(runs) >= 4)
        await tasks.drain()
        count = len(runs)
        await anyio.sleep(0.15)
    assert len(runs) == count
    assert runs[3] - runs[0] >= 0.29


async def test_jitter_adds_to_the_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.random", lambda: 1.0)
    runs, tasks = Runs(), TaskSupervisor()
    tasks.every(0.05, "tick", runs, jitter=1)
    async with tasks.open():
        tasks.begin()
        await wait_for(lambda: len(runs) >= 3)
        await tasks.drain()
    assert runs[2] - runs[0] >= 0.2


async def test_a_failing_run_does_not_end_the_series(caplog: pytest.LogCaptureFixture) -> None:
    runs: list[int] = []

    def fail() -> None:
        runs.append(1)
        raise LookupError("always")

    tasks = TaskSupervisor()
    async with tasks.open():
        tasks.begin()
        tasks.every(0.01, "fail", fail, jitter=0)
        await wait_for(lambda: len(runs) >= 3)
        await tasks.drain()
    assert [record.getMessage() for record in caplog.records] == [
        "Task 'fail' has failed" for _ in runs
    ]


async def test_a_run_that_has_begun_is_drained_and_no_other_begins() -> None:
    events: list[str] = []

    async def work() -> None:
        events.append("begin")
        await anyio.sleep(0.1)
        events.append("end")

    tasks = TaskSupervisor()
    tasks.every(0.001, "work", work, jitter=0)
    async with tasks.open():
        tasks.begin()
        await wait_for(lambda: events)
        await tasks.drain()
    assert events == ["begin", "end"]


async def test_a_thread_that_takes_too_long_is_not_joined_by_others() -> None:
    release, calls = threading.Event(), []

    def hang() -> None:
        calls.append(1)
        release.wait(5)

    tasks, failures = TaskSupervisor(), []

    def observe(name: str, seconds: float, error: BaseException | None) -> None:
        failures.append(error)

    with observe_background_tasks(observe):
        async with tasks.open():
            tasks.begin()
            tasks.every(0.01, "hang", hang, jitter=0, timeout=0.02)
            await wait_for(lambda: len(failures) >= 4)
            assert len(calls) == 1
            release.set()
            await wait_for(lambda: len(calls) > 1)
            await tasks.drain()
    assert [type(error) for error in failures[:4]] == [TimeoutError, *[RuntimeError] * 3]
    assert str(failures[1]) == "the call before it took too long, and its thread still runs"


async def test_tasks_of_the_lifespan_are_forgotten_with_it() -> None:
    tasks = TaskSupervisor()
    tasks.every(60, "always", Runs())
    for _ in range(2):
        async with tasks.open():
            tasks.every(60, "in the lifespan", Runs())
    with pytest.raises(ValueError, match="'always' already"):
        tasks.every(60, "always", Runs())


async def test_of_two_in_one_folder_one_runs_and_the_other_takes_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.tasks._periodic.PERIODIC_TAKEOVER_SECONDS", 0.02)
    first, second = Runs(), Runs()
    one, other = TaskSupervisor(lock_folder=tmp_path), TaskSupervisor(lock_folder=tmp_path)
    async with other.open():
        async with one.open():
            one.every(0.2, "tick/now", first, jitter=0)
            one.begin()
            await wait_for(lambda: first)
            other.every(0.2, "tick/now", second, jitter=0)
            other.begin()
            await wait_for(lambda: len(first) >= 4)
            assert not second
            await one.drain()
        await wait_for(lambda: second)
        await other.drain()
    assert second[0] - first[-1] >= 0.18, "it keeps to the times of the first"


async def test_a_folder_that_is_not_there_is_told_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs, tasks = Runs(), TaskSupervisor(lock_folder=tmp_path / "missing")
    tasks.every(0.01, "tick", runs)
    async with tasks.open():
        tasks.begin()
        await wait_for(lambda: caplog.records)
        await tasks.drain()
    assert not runs
    assert "'tick' cannot use its lock" in caplog.records[0].getMessage()


@pytest.mark.parametrize(
    ("seconds", "options", "complaint"),
    [
        (0, {}, "seconds=0 of periodic task"),
        (1, {"jitter": 1.5}, "jitter=1.5"),
        (1, {"name": "n" * 201}, "too long"),
        (1, {"retries": -1}, "retries=-1"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    seconds: float, options: dict[str, Any], complaint: str
) -> None:
    name = options.pop("name", "tick")
    with pytest.raises(ValueError, match=complaint):
        TaskSupervisor().every(seconds, name, Runs(), **options)


def test_a_note_that_is_no_number_counts_as_none(tmp_path: Path) -> None:
    lock = ProcessLock(tmp_path / "x.lock")
    assert lock.read_age() is None
    assert lock.take()
    assert lock.take()
    assert lock.read_age() is None
    lock.note_begin()
    assert 0 <= (lock.read_age() or 0) < 5
    Path(lock.path).write_text("12:30")
    assert lock.read_age() is None
    lock.release()
    lock.release()


WORKER = """
import os, anyio
from framework.tasks import TaskSupervisor

async def main():
    tasks = TaskSupervisor()
    tasks.every(0.05, "tick", lambda: print(os.getpid(), flush=True), jitter=0)
    async with tasks.open():
        tasks.begin()
        await anyio.sleep(60)

anyio.run(main)
"""


def start_worker(folder: Path, output: Path) -> subprocess.Popen[bytes]:
    environment = {"PATH": os.environ["PATH"], RUN_DIRECTORY_VARIABLE: str(folder)}
    command = (sys.executable, "-c", WORKER)
    with output.open("ab") as stream:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stream)


def test_a_worker_that_is_killed_is_followed_by_another_within_seconds(tmp_path: Path) -> None:
    output = tmp_path / "output"
    workers = [start_worker(tmp_path, output) for _ in range(3)]
    try:
        deadline = time.monotonic() + 15
        while len(output.read_text().split()) < 10:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(1.5)  # all of them have asked for the lock by now
        (pid,) = {int(line) for line in output.read_text().split()}
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        while len({int(line) for line in output.read_text().split()}) < 2:
            assert time.monotonic() < killed + 5
            time.sleep(0.02)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
