"""Memory that the workers of one machine share: exact, bounded, and safe from what is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from framework import folders
from framework.rate_limits import Bucket, RateLimit, SharedMemoryStore, StoreUnavailable
from tests.framework.rate_limits.workers import run_all, run_workers

pytestmark = pytest.mark.anyio

HEADER_BYTES = 192


def fill(key: str, limit: RateLimit) -> Bucket:
    return Bucket(key, limit.interval, limit.size)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SharedMemoryStore]:
    store = SharedMemoryStore("test", directory=tmp_path)
    yield store
    store.close()


async def count_taken(
    store: SharedMemoryStore, key: str, requests: int = 3, seconds: float = 3600, tries: int = 5
) -> int:
    bucket = fill(key, RateLimit(requests, seconds))
    return sum([(await store.take([bucket])).is_allowed for _ in range(tries)])


async def test_a_key_has_what_its_limit_gives(store: SharedMemoryStore) -> None:
    assert await count_taken(store, "a") == 3
    assert await count_taken(store, "b") == 3
    assert await count_taken(store, "a") == 0


async def test_it_comes_back_with_time(
    store: SharedMemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10**15
    monkeypatch.setattr(time, "monotonic_ns", lambda: now)
    assert await count_taken(store, "a", 3, 60) == 3
    now += 20 * 10**9
    assert await count_taken(store, "a", 3, 60) == 1
    now += 3600 * 10**9
    assert await count_taken(store, "a", 3, 60) == 3


async def test_all_buckets_are_filled_or_none(store: SharedMemoryStore) -> None:
    wide, narrow = fill("wide", RateLimit(5, 3600)), fill("narrow", RateLimit(1, 3600))
    verdicts = [await store.take([wide, narrow]) for _ in range(20)]
    assert [verdict.is_allowed for verdict in verdicts] == [True] + [False] * 19
    assert await count_taken(store, "wide", 5, tries=10) == 4


async def test_a_new_store_finds_what_an_old_one_has_left(
    store: SharedMemoryStore, tmp_path: Path
) -> None:
    assert await count_taken(store, "a") == 3
    other = SharedMemoryStore("test", directory=tmp_path)
    assert await count_taken(other, "a") == 0
    other.close()
    assert await count_taken(other, "a") == 0
    other.close()
    elsewhere = SharedMemoryStore("other", directory=tmp_path)
    assert await count_taken(elsewhere, "a") == 3
    elsewhere.close()


# Makes room for others between reading a count and writing it.
SLOW_DOWN = (
    "decide = memory.decide; memory.decide = lambda *args: (time.sleep(0.0002), decide(*args))[1]; "
)


@pytest.mark.parametrize("pace", ["", SLOW_DOWN], ids=["fast", "slow"])
def test_four_processes_share_one_limit_exactly(tmp_path: Path, pace: str) -> None:
    with run_workers(4, tmp_path) as workers:
        run_all(workers, pace + "store = open_store('shared'); result = 0")
        taken = run_all(workers, "result = run(store, 'key', 500, 3600, 200)")
        assert sum(map(int, taken)) == 500
        assert len(list(tmp_path.iterdir())) == 1


def test_processes_that_start_at_once_use_one_file(tmp_path: Path) -> None:
    with run_workers(4, tmp_path) as workers:
        code = "result = [run(open_store(f'file-{n}'), 'key', 1) for n in range(30)]"
        taken = [json.loads(line) for line in run_all(workers, code)]
    assert [sum(each) for each in zip(*taken, strict=True)] == [1] * 30
    assert len(list(tmp_path.iterdir())) == 30


# The worker stops in the middle of its work, the lock in its hands.
HOLD_LOCK = (
    "store._take = lambda *_: (print('holds', flush=True), time.sleep(60)); "
    "result = run(store, 'key', 3)"
)


async def test_a_worker_killed_with_the_lock_leaves_nothing_locked(
    store: SharedMemoryStore, tmp_path: Path
) -> None:
    assert await count_taken(store, "key", 3, tries=2) == 2
    with run_workers(1, tmp_path) as [worker]:
        worker.start("store = open_store('test'); result = 0")
        await anyio.to_thread.run_sync(worker.wait)
        worker.start(HOLD_LOCK)
        assert await anyio.to_thread.run_sync(worker.wait) == "holds"
        with pytest.raises(StoreUnavailable, match="another process has held a lock"):
            await count_taken(store, "key")
        assert await count_taken(store, "another key") == 3
        worker.process.send_signal(signal.SIGKILL)
        await anyio.to_thread.run_sync(worker.process.wait)
        assert await count_taken(store, "key") == 1


async def test_the_event_loop_runs_on_while_a_lock_is_waited_for(
    store: SharedMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.rate_limits.memory.RATE_LIMIT_LOCK_SECONDS", 1)
    await store.open()
    with run_workers(1, tmp_path) as [worker]:
        worker.start("store = open_store('test'); " + HOLD_LOCK)
        assert await anyio.to_thread.run_sync(worker.wait) == "holds"
        turns = 0

        async def work() -> None:
            nonlocal turns
            while True:
                await anyio.sleep(0.005)
                turns += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
            with pytest.raises(StoreUnavailable):
                await count_taken(store, "key")
            tasks.cancel_scope.cancel()
    assert turns > 20


def test_counts_outlive_the_worker_that_made_them(tmp_path: Path) -> None:
    for expected in (3, 0):
        with run_workers(1, tmp_path) as [worker]:
            assert run_all([worker], "result = run(open_store('x'), 'key', 3, 3600, 5)") == [
                str(expected)
            ]


def test_a_store_that_was_opened_before_a_fork_is_shared(tmp_path: Path) -> None:
    code = (
        "import os; store = open_store('x'); run(store, 'key', 10); child = os.fork(); "
        "taken = run(store, 'key', 10, 3600, 20); "
        "child or os._exit(taken); "
        "result = taken + os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])"
    )
    with run_workers(1, tmp_path) as [worker]:
        assert run_all([worker], code) == ["9"]


def test_threads_share_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.rate_limits.memory.RATE_LIMIT_LOCK_SECONDS", 10)
    stores = [SharedMemoryStore("x", directory=tmp_path) for _ in range(2)]
    taken: list[int] = []

    def work(store: SharedMemoryStore) -> None:
        taken.append(anyio.run(count_taken, store, "key", 100, 3600, 50))

    threads = [threading.Thread(target=work, args=(stores[n % 2],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 100
    for store in stores:
        store.close()


async def test_a_flood_of_keys_does_not_push_out_who_is_over_the_limit(tmp_path: Path) -> None:
    store = SharedMemoryStore("small", directory=tmp_path, max_keys=16)
    assert await count_taken(store, "heavy", 10, tries=12) == 10
    for number in range(500):
        assert await count_taken(store, f"new {number}", 10, tries=1) == 1
    assert await count_taken(store, "heavy", 10) == 0
    store.close()
    assert (tmp_path / "small-16.rates").stat().st_size == HEADER_BYTES + 16 * 24


@pytest.mark.parametrize("garbage", [b"\xff", b"\x7f", b"\x01", b"rubbish "])
async def test_what_was_half_written_counts_as_empty(tmp_path: Path, garbage: bytes) -> None:
    store = SharedMemoryStore("torn", directory=tmp_path, max_keys=16)
    await store.open()
    file = tmp_path / "torn-16.rates"
    size = file.stat().st_size
    with file.open("r+b") as torn:
        torn.seek(HEADER_BYTES)
        torn.write((garbage * size)[: size - HEADER_BYTES])
    for key in ("a", "b", "c"):
        assert await count_taken(store, key) == 3
    # What is left of it gives way before a key does.
    assert [await count_taken(store, key) for key in ("a", "b", "c")] == [0, 0, 0]
    store.close()


async def test_a_time_that_the_limit_cannot_reach_counts_as_empty(
    store: SharedMemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock starts again with the machine; a file in a temporary directory may be older."""
    now = 10**15
    monkeypatch.setattr(time, "monotonic_ns", lambda: now)
    assert await count_taken(store, "a") == 3
    now = 10**9
    assert await count_taken(store, "a") == 3


async def test_nobody_can_tell_which_keys_share_a_set(tmp_path: Path) -> None:
    """The place of a key depends on a secret in the file: who could choose it would push others out."""
    places = []
    for name in ("one", "two"):
        store = SharedMemoryStore(name, directory=tmp_path, max_keys=8)
        assert await count_taken(store, "a", tries=1) == 1
        store.close()
        slots = (tmp_path / f"{name}-8.rates").read_bytes()[HEADER_BYTES:]
        places.append(slots.strip(b"\0")[:16])
    assert places[0] != places[1]


async def test_a_file_of_something_else_is_not_touched(tmp_path: Path) -> None:
    store = SharedMemoryStore("x", directory=tmp_path, max_keys=8)
    file = tmp_path / "x-8.rates"
    for content in (b"short", b"x" * (HEADER_BYTES + 8 * 24)):
        file.write_bytes(content)
        with pytest.raises(RuntimeError, match="is no file of this store: remove it"):
            await store.open()
        with pytest.raises(StoreUnavailable, match="remove it"):
            await count_taken(store, "a")
        assert file.read_bytes() == content


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"")
    (tmp_path / "x-8.rates").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        await SharedMemoryStore("x", directory=tmp_path, max_keys=8).open()


def test_a_full_disk_is_an_error_at_the_start_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try: anyio.run(open_store('x').open)\n"
        "except OSError as exc: result = exc.strerror"
    )
    with run_workers(1, tmp_path) as [worker]:
        worker.start(f"exec({code!r})")
        assert worker.wait() == "'File too large'"
    assert list(tmp_path.iterdir()) == []


def test_by_default_workers_of_one_command_share_a_private_folder(tmp_path: Path) -> None:
    code = (
        f"folders._MEMORY = Path({str(tmp_path)!r}); "
        "result = run(SharedMemoryStore(), 'key', 3, 3600, 2)"
    )
    with run_workers(2, tmp_path) as workers:
        assert sorted(run_all(workers, code)) == ["1", "2"]
    [folder] = tmp_path.iterdir()
    assert folder.name == f"rate-limits-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    [file] = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


async def test_a_folder_that_others_can_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_MEMORY", tmp_path)
    (tmp_path / f"rate-limits-{os.getuid()}").mkdir(mode=0o755)
    with pytest.raises(RuntimeError, match="only this user can use: remove it"):
        await SharedMemoryStore().open()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "x" * 101, "a b"])
def test_a_name_is_a_file_name(name: str) -> None:
    with pytest.raises(ValueError, match="must be up to 100 letters"):
        SharedMemoryStore(name)


def test_there_is_room_for_a_set_of_keys() -> None:
    with pytest.raises(ValueError, match="max_keys=7 must be at least 8"):
        SharedMemoryStore(max_keys=7)


async def test_a_key_of_any_text_is_a_key(store: SharedMemoryStore) -> None:
    for key in ("", "\udcff", "x" * 100_000, "\0"):
        assert await count_taken(store, key) == 3
