"""Durable jobs in real processes: what is killed, stopped or fails, and who goes on with it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.jobs_sample import MAX_DEATHS
from tests.e2e.service import GUNICORN, ROOT, Service, parse_events, wait_for
from tests.services import run_postgres

pytestmark = pytest.mark.timeout(90)


class Worker:
    """A process that executes jobs; its output goes to a file."""

    def __init__(
        self,
        folder: Path,
        url: str,
        module: str = "tests.e2e.jobs_sample",
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._output = folder / f"worker-{time.monotonic_ns()}.txt"
        environment = {
            "PATH": os.environ["PATH"],
            "JOBS_URL": url,
            "SAMPLE_FOLDER": str(folder),
            "GRACEFUL_TIMEOUT": "2",
            "JOBS_METRICS_PORT": "0",
            **(env or {}),
        }
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(
                (sys.executable, "-m", module),
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line of the output; one that is not JSON fails the test."""
        is_over = self.process.poll() is not None
        return parse_events(self._output.read_text(), is_over=is_over)

    def named(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.events if each["event"] == event]

    def wait_until_up(self) -> str:
        """Return the name under which it works."""
        wait_for(self._is_up_or_ended, "the worker is up")
        assert self.named("job worker is up"), self._output.read_text()
        name: str = self.named("job worker is up")[0]["worker"]
        return name

    def _is_up_or_ended(self) -> bool:
        return bool(self.named("job worker is up")) or self.process.poll() is not None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Site:
    """A service with two processes, and the workers that a test starts."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.workers: list[Worker] = []
        command = (*GUNICORN, "tests.e2e.jobs_sample:app")
        self.service = Service(folder, command, {"JOBS_URL": url})

    def work(self, module: str = "tests.e2e.jobs_sample", **env: str) -> Worker:
        worker = Worker(self.folder, self.url, module, env)
        self.workers.append(worker)
        return worker

    def start(self, path: str) -> str:
        """Have a request enqueue a job; return its id."""
        status, body = self.service.get(f"/start/{path}")
        assert status == 202
        job_id: str = json.loads(body)["id"]
        return job_id

    def read(self, job_id: str) -> dict[str, Any]:
        status, body = self.service.get(f"/jobs/{job_id}")
        assert status == 200
        state: dict[str, Any] = json.loads(body)
        return state

    def wait_for_progress(self, job_id: str, done: int) -> None:
        wait_for(
            lambda: (self.read(job_id)["progress"] or {"done": 0})["done"] >= done,
            f"{done} steps of the job are done",
        )

    def wait_for_end(self, job_id: str) -> dict[str, Any]:
        wait_for(
            lambda: self.read(job_id)["status"] in {"succeeded", "failed"}, "the job has ended"
        )
        return self.read(job_id)

    def count_notes(self, name: str) -> int:
        with contextlib.suppress(FileNotFoundError):
            return len((self.folder / f"{name}.notes").read_text().split())
        return 0


@contextlib.contextmanager
def run_site(folder: Path, url: str) -> Iterator[Site]:
    site = Site(folder, url)
    with site.service:
        try:
            site.service.wait_until_up()
            yield site
        finally:
            for worker in site.workers:
                worker.kill()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with run_site(tmp_path, f"sqlite:///{tmp_path / 'data' / 'jobs.sqlite'}") as site:
        yield site


def check_kill(site: Site) -> None:
    """Kill the one of two workers that executes a job; the other has to end it."""
    workers = {worker.wait_until_up(): worker for worker in [site.work(), site.work()]}
    assert set(workers) == {"worker-0", "worker-1"}
    # More jobs than one worker takes, so that both have some.
    jobs = [site.start("count?total=14") for _ in range(4)]
    for job_id in jobs:
        site.wait_for_progress(job_id, 1)
    workers["worker-1"].kill()
    for job_id in jobs:
        assert site.wait_for_end(job_id)["result"] == 14
        assert site.read(job_id)["progress"] == {"done": 14, "total": 14}
    adopted = workers["worker-0"].named("job of a dead worker goes on")
    assert {each["worker"] for each in adopted} == {"worker-1"}
    assert {each["job_id"] for each in adopted} < set(jobs)


def test_a_job_whose_worker_is_killed_is_finished_by_another_that_lives(site: Site) -> None:
    check_kill(site)


def test_so_it_is_with_postgresql(tmp_path: Path) -> None:
    with run_postgres() as url, run_site(tmp_path, url) as site:
        check_kill(site)


def test_a_job_whose_worker_is_killed_is_finished_by_the_one_that_follows_it(site: Site) -> None:
    first = site.work()
    first.wait_until_up()
    job_id = site.start("count?total=8")
    site.wait_for_progress(job_id, 2)
    first.kill()
    assert site.read(job_id)["status"] == "running"
    second = site.work()
    assert second.wait_until_up() == "worker-0", "it takes the place of the dead one"
    state = site.wait_for_end(job_id)
    assert (state["status"], state["result"]) == ("succeeded", 8)
    assert second.named("job of a dead worker goes on") == []


def test_a_job_that_is_enqueued_while_no_worker_runs_waits_for_one(site: Site) -> None:
    job_id = site.start("count?total=1")
    assert site.read(job_id)["status"] == "waiting"
    site.work(module="deploy.worker").wait_until_up()
    assert site.wait_for_end(job_id)["result"] == 1


def test_a_stopped_worker_leaves_what_it_cannot_finish_to_the_next(site: Site) -> None:
    first = site.work(module="deploy.worker")
    first.wait_until_up()
    job_id = site.start("count?total=16")
    site.wait_for_progress(job_id, 1)
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(20) == 0
    (left,) = first.named("jobs are left for another worker")
    assert left["jobs"] == [f"count {job_id}"]
    assert site.read(job_id)["status"] == "running"
    site.work()
    assert site.wait_for_end(job_id)["result"] == 16


def test_a_stopped_worker_finishes_what_it_can(site: Site) -> None:
    worker = site.work()
    worker.wait_until_up()
    job_id = site.start("count?total=4")
    site.wait_for_progress(job_id, 1)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(20) == 0
    assert worker.named("jobs are left for another worker") == []
    assert site.read(job_id)["result"] == 4


def test_failures_are_tried_again_told_and_never_lost(site: Site) -> None:
    worker = site.work()
    worker.wait_until_up()
    flaky, hopeless = site.start("flaky"), site.start("hopeless")
    assert site.wait_for_end(flaky)["result"] == "at last"
    assert site.count_notes("attempts") == 3
    state = site.wait_for_end(hopeless)
    assert (state["status"], state["error"]) == ("failed", "LookupError: nothing helps")
    failures = [each for each in worker.events if each["level"] == "error"]
    assert len(failures) == 1, failures
    assert failures[0]["exception"][0]["type"] == "LookupError"


def test_a_job_that_kills_its_workers_is_given_up(site: Site) -> None:
    job_id = site.start("deadly")
    for _ in range(MAX_DEATHS + 1):
        assert site.work().process.wait(30) == -signal.SIGKILL
    site.work().wait_until_up()
    assert site.wait_for_end(job_id)["status"] == "failed"
    assert site.count_notes("deaths") == MAX_DEATHS + 1


def test_a_delayed_job_waits_and_a_key_names_the_work(site: Site) -> None:
    site.work().wait_until_up()
    began = time.monotonic()
    job_id = site.start("hopeless?delay=2&key=order-7")
    assert site.start("hopeless?delay=2&key=order-7") == job_id == "order-7"
    assert site.wait_for_end(job_id)["status"] == "failed"
    assert time.monotonic() - began >= 2


def test_an_unknown_job_is_none(site: Site) -> None:
    assert site.service.get("/jobs/nonsense") == (404, b"null")
