"""Metrics of job workers: added up on one port, whoever of them has it, and through their deaths."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.metrics import WorkerPlace
from tests.e2e.jobs_sample import MAX_DEATHS
from tests.e2e.service import wait_for
from tests.e2e.test_jobs import Site, Worker, run_site
from tests.e2e.test_metrics import Samples, add_up
from tests.framework.observability.promtool import check_exposition
from tests.framework.observability.workers import read_samples
from tests.ports import find_free_port

pytestmark = pytest.mark.timeout(90)


class Office:
    """A site whose workers serve their metrics on a port."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.port = find_free_port()
        self.folder = WorkerPlace(site.url, host="", port=0).folder

    def work(self) -> Worker:
        worker = self.site.work("deploy.worker", JOBS_METRICS_PORT=str(self.port))
        worker.wait_until_up()
        return worker

    def read(self) -> str:
        with contextlib.suppress(OSError):
            status, text = self.site.service.get("/metrics", port=self.port)
            assert status == 200
            return text.decode()
        return ""

    def scrape(self) -> Samples:
        return read_samples(self.read())

    def count(self, metric: str, /, **labels: str) -> float:
        return add_up(self.scrape(), metric, **labels)

    def finish(self, total: int) -> None:
        job_id = self.site.start(f"count?total={total}")
        assert self.site.wait_for_end(job_id)["result"] == total


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with run_site(tmp_path, f"sqlite:///{tmp_path / 'jobs.sqlite'}") as site:
        office = Office(site)
        try:
            yield office
        finally:
            for worker in site.workers:
                worker.kill()
            shutil.rmtree(office.folder, ignore_errors=True)


def test_jobs_of_all_workers_are_counted_and_timed(office: Office) -> None:
    office.work()
    wait_for(office.read, "metrics are served")
    office.work()
    for _ in range(3):
        office.finish(1)
    wait_for(lambda: office.count("jobs_ended_total") == 3, "all are counted")
    # Workers measure themselves every five seconds.
    wait_for(lambda: office.count("database_pool_size", pool="jobs") >= 2, "both have a pool")

    check_exposition(office.read())
    samples = office.scrape()
    assert add_up(samples, "jobs_ended_total", name="count", outcome="succeeded") == 3
    assert add_up(samples, "job_duration_seconds_count", name="count") == 3
    assert add_up(samples, "job_duration_seconds_sum", name="count") > 3 * 0.25
    assert add_up(samples, "jobs_running") == 0
    assert add_up(samples, "build_info") == 1
    for slot in ("0", "1"):
        assert add_up(samples, "process_worker_start_time_seconds", worker_slot=slot) > 1e9


def test_jobs_that_wait_are_counted(office: Office) -> None:
    office.work()
    for _ in range(6):
        office.site.start("count?total=30")
    wait_for(lambda: office.count("jobs_running", name="count") == 4, "four are executed")
    wait_for(lambda: office.count("jobs_waiting") == 2, "two wait")


def test_a_job_that_is_given_up_is_counted(office: Office) -> None:
    office.site.start("deadly")
    for _ in range(MAX_DEATHS + 1):
        assert office.site.work().process.wait(30) == -signal.SIGKILL
    office.site.work().wait_until_up()
    office.work()
    wait_for(lambda: office.count("jobs_given_up") == 1, "it is given up")


def test_when_a_worker_is_killed_another_serves_and_its_counts_stay(office: Office) -> None:
    first, second = office.work(), office.work()
    office.finish(1)
    wait_for(lambda: office.count("jobs_ended_total") == 1, "it is counted")
    assert [len(each.named("metrics served")) for each in (first, second)] == [1, 0]

    first.kill()
    wait_for(lambda: second.named("metrics served"), "the other one serves")
    wait_for(
        lambda: office.count("process_worker_start_time_seconds", worker_slot="0") == 0,
        "what the dead one had is forgotten",
    )
    assert office.count("jobs_ended_total") == 1

    third = office.work()
    second.process.send_signal(signal.SIGTERM)
    wait_for(lambda: third.named("metrics served"), "who follows serves")
    wait_for(lambda: office.count("jobs_ended_total") == 1, "counters go on")


def test_the_first_worker_begins_with_an_empty_folder(office: Office) -> None:
    worker = office.work()
    office.finish(1)
    wait_for(lambda: office.count("jobs_ended_total") == 1, "it is counted")
    office.work().kill()
    files = {path.name for path in office.folder.glob("*_1.db")}
    assert files
    worker.kill()

    office.work()
    wait_for(office.read, "metrics are served")
    assert office.count("jobs_ended_total") == 0
    assert not {path.name for path in office.folder.iterdir()} & files


def test_without_a_port_there_is_nothing(office: Office) -> None:
    worker = office.site.work("deploy.worker")
    worker.wait_until_up()
    office.finish(1)
    assert worker.named("metrics served") == []
    assert not office.folder.exists()
