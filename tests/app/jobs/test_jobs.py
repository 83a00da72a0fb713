"""Jobs as a request sees them, and the numbers of workers; real workers are in tests/e2e/test_jobs.py."""

from __future__ import annotations

import contextlib
import logging
import socket
import sqlite3
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import anyio
import psycopg
import pytest
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from structlog.testing import capture_logs

from app.jobs.engine import find_file, prepare
from app.jobs.slots import MAX_WORKERS, FileSlots, borrow, claim_slot
from app.jobs.starting import start_count
from app.jobs.states import JobState, JobsUnavailable
from app.jobs.store import Jobs
from app.main import create_app
from app.settings import Settings
from tests.clients import ClientFactory
from tests.services import run_postgres

pytestmark = pytest.mark.anyio


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "jobs.sqlite"


@pytest.fixture
async def jobs(file: Path) -> AsyncIterator[Jobs]:
    jobs = Jobs(f"sqlite:///{file}")
    yield jobs
    await jobs.close()


async def test_a_job_is_on_disk_when_enqueue_returns(jobs: Jobs, file: Path) -> None:
    job_id = await start_count(jobs, 3)
    expected = JobState(id=job_id, name="count", status="waiting")
    assert await jobs.read(job_id) == expected

    other = Jobs(f"sqlite:///{file}")
    assert await other.read(job_id) == expected
    await other.close()


async def test_a_key_names_the_work(jobs: Jobs) -> None:
    assert await jobs.enqueue("count", 3, key="order-7") == "order-7"
    assert await jobs.enqueue("count", 9, key="order-7") == "order-7"


async def test_an_unknown_job_is_none(jobs: Jobs) -> None:
    assert await jobs.read("nonsense") is None


async def test_what_was_closed_opens_again(jobs: Jobs) -> None:
    job_id = await jobs.enqueue("count", 3, delay=60)
    await jobs.close()
    await jobs.close()
    state = await jobs.read(job_id)
    assert state is not None
    assert state.status == "waiting"


async def test_many_at_once_open_one_database(jobs: Jobs) -> None:
    ids: set[str] = set()

    async def enqueue() -> None:
        ids.add(await jobs.enqueue("count", 1))

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(enqueue)
    assert len(ids) == 20


async def test_a_request_does_not_wait_for_ever_for_a_locked_file(
    jobs: Jobs, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.client.LOCKED_SECONDS", 0.1)
    job_id = await start_count(jobs, 1)
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with anyio.fail_after(5), pytest.raises(JobsUnavailable):
            await start_count(jobs, 2)
        assert await jobs.read(job_id) is not None
    assert await start_count(jobs, 3)


async def test_many_requests_that_find_a_locked_file_are_503s_within_the_time(
    jobs: Jobs, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.client.LOCKED_SECONDS", 0.3)
    monkeypatch.setattr("app.jobs.store.OPEN_SECONDS", 0.3)
    await start_count(jobs, 1)
    refusals: list[float] = []

    async def fail(jobs: Jobs) -> None:
        with pytest.raises(JobsUnavailable):
            await start_count(jobs, 2)
        refusals.append(anyio.current_time() - began)

    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        for each in (jobs, Jobs(f"sqlite:///{file}")):
            began = anyio.current_time()
            async with anyio.create_task_group() as group:
                for _ in range(12):
                    group.start_soon(fail, each)
    assert len(refusals) == 24
    assert max(refusals) < 5


async def test_a_server_that_says_nothing_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.jobs.client.CONNECT_SECONDS", 2)  # the least that libpq knows
    with socket.create_server(("127.0.0.1", 0)) as silent:
        jobs = Jobs(f"postgresql://user:p%40ss@127.0.0.1:{silent.getsockname()[1]}/jobs")
        with anyio.fail_after(15), pytest.raises(JobsUnavailable):
            await jobs.read("any")


async def test_a_locked_table_is_a_503(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.jobs.client.LOCKED_SECONDS", 0.2)
    with run_postgres() as url:
        jobs = Jobs(url)
        await start_count(jobs, 1)
        with psycopg.connect(url) as other:
            other.execute("LOCK TABLE dbos.workflow_status")
            for call in (partial(start_count, jobs, 1), partial(jobs.read, "any")):
                with anyio.fail_after(5), pytest.raises(JobsUnavailable):
                    await call()
        await start_count(jobs, 1)
        await jobs.close()


async def test_a_pool_without_a_free_connection_is_a_503(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PoolTimeoutError("QueuePool limit of size 5 overflow 0 reached")

    await start_count(jobs, 1)
    monkeypatch.setattr("dbos.DBOSClient.enqueue", fail)
    with pytest.raises(JobsUnavailable):
        await start_count(jobs, 1)


async def test_a_folder_that_takes_no_file_is_a_503(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JobsUnavailable):
        await Jobs(f"sqlite:///{tmp_path / 'file' / 'jobs.sqlite'}").read("any")


async def test_a_database_that_is_away_is_a_503() -> None:
    jobs = Jobs("postgresql://user:hidden@127.0.0.1:1/jobs")
    for call in (partial(start_count, jobs, 1), partial(jobs.read, "any")):
        with capture_logs() as events, pytest.raises(JobsUnavailable) as raised:
            await call()
        assert raised.value.status_code == 503
        assert "Connection refused" in events[0]["reason"]
        assert "hidden" not in str(events)


async def test_a_value_that_is_not_json_is_refused(jobs: Jobs) -> None:
    with pytest.raises(TypeError, match="JSON"):
        await jobs.enqueue("count", object())


def test_a_service_without_jobs_makes_no_file(file: Path, client_factory: ClientFactory) -> None:
    with client_factory(create_app(Settings(jobs_url=f"sqlite:///{file}"))) as client:
        assert client.get("/livez").status_code == 200
    assert not file.parent.exists()


def test_many_prepare_a_new_file_at_once(tmp_path: Path) -> None:
    count = 8
    barrier = threading.Barrier(count)

    def open_together(url: str) -> None:
        barrier.wait(10)
        prepare(url)

    with ThreadPoolExecutor(count) as threads:
        for number in range(30):
            url = f"sqlite:///{tmp_path / str(number) / 'jobs.sqlite'}"
            for opening in [threads.submit(open_together, url) for _ in range(count)]:
                opening.result()


def test_files_and_servers_are_told_apart() -> None:
    assert find_file("sqlite:///data/jobs.sqlite") == Path("data/jobs.sqlite")
    assert find_file("sqlite:////data/jobs.sqlite") == Path("/data/jobs.sqlite")
    assert find_file("postgresql://u:p@db/jobs") is None


def test_workers_have_the_lowest_free_numbers(tmp_path: Path) -> None:
    workers = [FileSlots(tmp_path / "jobs.sqlite") for _ in range(3)]
    assert [claim_slot(worker) for worker in workers] == [0, 1, 2]
    with borrow(workers[0], 1) as is_free:
        assert not is_free
    workers[1].release(1)
    with borrow(workers[0], 1) as is_free:
        assert is_free
        assert claim_slot(FileSlots(tmp_path / "jobs.sqlite")) == 3
    assert claim_slot(FileSlots(tmp_path / "jobs.sqlite")) in {1, 3}


def test_too_many_workers_are_refused(tmp_path: Path) -> None:
    slots = FileSlots(tmp_path / "jobs.sqlite")
    others = FileSlots(tmp_path / "jobs.sqlite")
    for number in range(MAX_WORKERS):
        assert others.take(number)
    with pytest.raises(RuntimeError, match="100 workers run on this database"):
        claim_slot(slots)
    for number in range(MAX_WORKERS):
        others.release(number)


def test_the_library_writes_into_our_log_only() -> None:
    library = logging.getLogger("dbos")
    assert library.propagate
    assert [type(handler) for handler in library.handlers] == [logging.NullHandler]
