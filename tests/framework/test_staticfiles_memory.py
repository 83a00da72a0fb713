"""`StaticFiles`: small files in memory, and that every change of them is noticed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from framework._defaults import (
    MAX_STATIC_CACHE_FILES,
    STATIC_CHUNK_BYTES,
    STATIC_FRESH_SECONDS,
)
from framework.staticfiles import StaticFiles, _memory
from tests.framework.static_requests import count_hops, find_status, get

pytestmark = pytest.mark.anyio


class Clock:
    """A monotonic clock that stands still until a test moves it on."""

    def __init__(self) -> None:
        self.now = time.monotonic()

    def monotonic(self) -> float:
        return self.now

    def pass_window(self) -> None:
        """Let the time pass in which a file is not looked at again."""
        self.now += STATIC_FRESH_SECONDS

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stop waiting for files to settle; time passes when the test says so."""
    clock = Clock()
    monkeypatch.setattr("framework.staticfiles._memory.STATIC_SETTLED_SECONDS", 0)
    monkeypatch.setattr("framework.staticfiles._memory.time", clock)
    monkeypatch.setattr("framework.staticfiles.application.time", clock)
    return clock


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a file in memory until the test is over."""
    monkeypatch.setattr("framework.staticfiles._memory.STATIC_SETTLED_SECONDS", 0)
    monkeypatch.setattr("framework.staticfiles._memory.STATIC_FRESH_SECONDS", 60)


def serve(directory: Path, **options: Any) -> StaticFiles:
    return StaticFiles(directory=directory, **{"check_dir": False, **options})


@pytest.mark.usefixtures("slow")
async def test_a_file_in_memory_costs_no_hop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index.html").write_text("index")
    app = serve(tmp_path, html=True)
    first = await get(app, "/")
    hops = count_hops(monkeypatch)
    assert (await get(app, "/")).messages == first.messages
    assert (await get(app, "/", method="HEAD")).headers == first.headers
    assert (await get(app, "/", ("range", "bytes=1-2"))).body == b"nd"
    assert (await get(app, "/", ("range", "bytes=9-"))).status == 416
    assert b"\r\n\r\nin\r\n" in (await get(app, "/", ("range", "bytes=0-1,3-"))).body
    tag = first.headers[b"etag"].decode()
    assert (await get(app, "/", ("if-none-match", tag))).status == 304
    assert (await get(app, "/", extensions={"http.response.pathsend": {}})).body == b"index"
    assert hops == []


async def test_it_is_looked_at_once_in_each_window(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    app = serve(tmp_path)
    await get(app, "/a")
    hops = count_hops(monkeypatch)
    for _ in range(3):
        clock.pass_window()
        for _ in range(5):
            assert (await get(app, "/a")).body == b"a"
    assert len(hops) == 3


async def test_only_one_request_looks_while_the_others_are_served(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("a")
    app = serve(tmp_path)
    await get(app, "/a")
    clock.pass_window()
    hops = count_hops(monkeypatch)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(get, app, "/a")
    assert len(hops) == 1


def overwrite(path: Path) -> None:
    path.write_text("new")


def overwrite_in_place_with_the_same_age(path: Path) -> None:
    before = path.stat()
    path.write_text("new")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replace(path: Path) -> None:
    path.with_suffix(".tmp").write_text("new")
    path.with_suffix(".tmp").replace(path)


def link(path: Path) -> None:
    path.with_suffix(".tmp").write_text("new")
    path.unlink()
    path.symlink_to(path.with_suffix(".tmp"))


def move_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("old"))
    path.parent.mkdir()
    path.write_text("new")


@pytest.mark.parametrize(
    "change", [overwrite, overwrite_in_place_with_the_same_age, replace, link, move_directory]
)
async def test_every_change_is_noticed(tmp_path: Path, clock: Clock, change: Any) -> None:
    path = tmp_path / "sub" / "a"
    path.parent.mkdir()
    path.write_text("old")
    app = serve(tmp_path)
    assert (await get(app, "/sub/a")).body == b"old"
    await anyio.sleep(0.02)  # a tick of the file system
    await anyio.to_thread.run_sync(change, path)
    assert (await get(app, "/sub/a")).body == b"old"
    clock.pass_window()
    answer = await get(app, "/sub/a")
    assert answer.body == b"new"
    assert (await get(app, "/sub/a")).messages == answer.messages


async def test_what_is_gone_is_a_404_and_comes_back(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "a").write_text("a")
    app = serve(tmp_path)
    assert await find_status(app, "/a") == 200
    (tmp_path / "a").unlink()
    clock.pass_window()
    assert await find_status(app, "/a") == 404
    assert await find_status(app, "/a") == 404
    (tmp_path / "a").write_text("b")
    assert (await get(app, "/a")).body == b"b"


async def test_a_file_of_an_earlier_directory_takes_over(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "two" / "a").write_text("two")
    app = serve(tmp_path / "one")
    app.all_directories.append(tmp_path / "two")
    assert (await get(app, "/a")).body == b"two"
    (tmp_path / "one" / "a").write_text("one")
    clock.pass_window()
    assert (await get(app, "/a")).body == b"one"


async def test_a_sibling_that_appears_is_sent_and_one_that_gets_old_is_not(
    tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "a.js").write_text("plain")
    app = serve(tmp_path, precompressed=True)
    field = ("accept-encoding", "br")
    assert (await get(app, "/a.js", field)).body == b"plain"
    (tmp_path / "a.js.br").write_text("br")
    clock.pass_window()
    assert (await get(app, "/a.js", field)).body == b"br"
    assert (await get(app, "/a.js")).body == b"plain"
    os.utime(tmp_path / "a.js.br", (1, 1))
    clock.pass_window()
    assert (await get(app, "/a.js", field)).body == b"plain"


async def test_a_file_that_is_being_written_is_read_each_time(tmp_path: Path) -> None:
    app = serve(tmp_path)
    for content in (b"old", b"new", b"n"):
        (tmp_path / "a").write_bytes(content)
        assert (await get(app, "/a")).body == content
    assert len(app._memory) == 0


@pytest.mark.usefixtures("slow")
async def test_responses_from_memory_do_not_share_their_headers(tmp_path: Path) -> None:
    class Marked(StaticFiles):
        def file_response(self, *args: Any, **kwargs: Any) -> Any:
            response = super().file_response(*args, **kwargs)
            response.headers.append("x-mark", "1")
            response.headers["etag"] = '"own"'
            response.set_cookie("a", "b")
            return response

    (tmp_path / "a").write_text("a")
    app = Marked(directory=tmp_path, check_dir=False)
    for _ in range(3):
        answer = await get(app, "/a")
        names = [name for name, _ in answer.messages[0]["headers"]]
        assert len(names) == len(set(names))
        assert answer.headers[b"etag"] == b'"own"'


@pytest.mark.usefixtures("slow")
async def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        (tmp_path / str(number)).write_bytes(b"x" * 100)
    (tmp_path / "large").write_bytes(b"x" * 1001)
    app = serve(tmp_path, cache_bytes=1000)
    for number in range(30):
        await get(app, f"/{number}")
        await get(app, f"/./{number}/")  # the same file
        assert app._memory.size == 100 * len(app._memory)
    assert len(app._memory) == 10
    await get(app, "/large")
    assert len(app._memory) == 10
    hops = count_hops(monkeypatch)
    await get(app, "/29")
    assert not hops
    await get(app, "/0")
    assert hops
    none = serve(tmp_path, cache_bytes=0)
    await get(none, "/0")
    assert len(none._memory) == 0


def test_the_number_of_files_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_memory, "STATIC_SETTLED_SECONDS", 0)
    app = serve(tmp_path)
    (tmp_path / "a").touch()
    wanted = app._read_wishes(("a", ()), None, {"type": "http", "method": "GET", "headers": []})
    found = app._find("a", wanted)
    assert found is not None
    for number in range(MAX_STATIC_CACHE_FILES + 10):
        app._memory.put(number, found, time.monotonic())
    assert len(app._memory) == MAX_STATIC_CACHE_FILES
    assert app._memory.get(9) is None
    assert app._memory.get(10) is not None


@pytest.mark.usefixtures("slow")
async def test_only_what_a_path_names_is_kept(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("index")
    (tmp_path / "404.html").write_text("nothing")
    (tmp_path / "large").write_bytes(b"x" * (STATIC_CHUNK_BYTES + 1))
    app = serve(tmp_path, spa=True)
    for path in ("/users/1", "/users/2", "/none.js", "/large", "/.env", "/a\x00"):
        await find_status(app, path)
        await get(app, "/users/3", ("accept", "text/html"))
    assert len(app._memory) == 0
    (tmp_path / "small").write_bytes(b"x" * STATIC_CHUNK_BYTES)
    await get(app, "/small")
    assert len(app._memory) == 1


@pytest.mark.usefixtures("slow")
async def test_a_subclass_that_looks_up_itself_is_asked_each_time(tmp_path: Path) -> None:
    class Tenants(StaticFiles):
        tenant = "a"

        def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
            return super().lookup_path(f"{self.tenant}/{path}")

    for tenant in "ab":
        (tmp_path / tenant).mkdir()
        (tmp_path / tenant / "x").write_text(tenant)
    app = Tenants(directory=tmp_path, check_dir=False)
    assert (await get(app, "/x")).body == b"a"
    app.tenant = "b"
    assert (await get(app, "/x")).body == b"b"


class Publisher:
    """Replaces a file again and again, each time by one of another length; readers compare."""

    slack = 1.0  # on top of the window, for a machine that is busy (seconds)

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times: list[float] = []
        self.is_done = False
        self.answers = 0

    def publish(self) -> None:
        version = len(self.times)
        self.path.with_suffix(".tmp").write_text(f"{version:03}" * (1000 + version))
        self.path.with_suffix(".tmp").replace(self.path)
        self.times.append(time.monotonic())

    async def read(self, app: StaticFiles) -> int:
        """Return the version that is served; fail for a mixture and for one that is too old."""
        deadline = time.monotonic() - STATIC_FRESH_SECONDS - self.slack
        oldest = max((n for n, at in enumerate(self.times) if at < deadline), default=0)
        answer = await get(app, "/a.txt")
        version = int(answer.body[:3])
        assert answer.body == f"{version:03}".encode() * (1000 + version)
        assert answer.headers[b"content-length"] == str(len(answer.body)).encode()
        assert version >= oldest
        self.answers += 1
        return version

    async def keep_reading(self, app: StaticFiles) -> None:
        while not self.is_done:
            await self.read(app)
            await anyio.sleep(0.001)


async def test_files_that_change_under_load_are_whole_and_soon_the_new_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.staticfiles._memory.STATIC_SETTLED_SECONDS", 0.02)
    publisher = Publisher(tmp_path / "a.txt")
    publisher.publish()
    app = serve(tmp_path)
    hops = count_hops(monkeypatch)
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(publisher.keep_reading, app)
        for _ in range(30):
            await anyio.sleep(0.06)
            await anyio.to_thread.run_sync(publisher.publish)
        publisher.is_done = True
    assert len(hops) < publisher.answers  # some came from memory
    await anyio.sleep(STATIC_FRESH_SECONDS)
    await publisher.read(app)
    await anyio.sleep(STATIC_FRESH_SECONDS)
    assert await publisher.read(app) == 30
