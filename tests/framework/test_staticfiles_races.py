"""`StaticFiles`: what happens when a tree changes between the look-up and the answer."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import pytest

from framework.responses import FileResponse, Response
from framework.staticfiles import StaticFiles
from framework.types import Scope
from tests.framework.asgi import build_scope, call
from tests.framework.static_requests import find_status, get

pytestmark = pytest.mark.anyio

SECRET = b"secret"
LARGE = 300_000


@pytest.fixture
def public(tmp_path: Path) -> Path:
    """A directory with a small and a large file, and a secret outside of it under the same names."""
    for folder, content in (("public/sub", b"a"), ("outside", SECRET)):
        (tmp_path / folder).mkdir(parents=True)
        for name, size in (("a.txt", 1), ("large.bin", LARGE)):
            (tmp_path / folder / name).write_bytes(content * size)
    return tmp_path / "public"


class Racing(StaticFiles):
    """Something happens right after the look-up, before the file is opened."""

    happen: Callable[[Path], None]
    place: Path

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        found = super().lookup_path(path)
        self.happen(self.place)
        return found


def race(public: Path, happen: Callable[[Path], None], **options: Any) -> Racing:
    app = Racing(directory=public, check_dir=False, **options)
    app.happen = happen
    app.place = public / "sub"
    return app


def link_directory(place: Path) -> None:
    place.rename(place.with_name("moved"))
    place.symlink_to(place.parent.parent / "outside")


def link_file(place: Path) -> None:
    for name in ("a.txt", "large.bin"):
        (place / name).unlink()
        (place / name).symlink_to(place.parent.parent / "outside" / name)


def delete(place: Path) -> None:
    for name in ("a.txt", "large.bin"):
        (place / name).unlink()


def make_directory(place: Path) -> None:
    delete(place)
    for name in ("a.txt", "large.bin"):
        (place / name).mkdir()


def make_pipe(place: Path) -> None:
    delete(place)
    for name in ("a.txt", "large.bin"):
        os.mkfifo(place / name)


CHANGES = [link_directory, link_file, delete, make_directory, make_pipe]
NAMES = ["a.txt", "large.bin"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_is_gone_or_leads_out_before_it_is_opened_is_a_404(
    public: Path, change: Callable[[Path], None], name: str, method: str
) -> None:
    assert await find_status(race(public, change), f"/sub/{name}", method) == 404


@pytest.mark.parametrize("change", CHANGES)
async def test_the_page_for_nothing_is_sent_then(
    public: Path, change: Callable[[Path], None]
) -> None:
    (public / "404.html").write_text("nothing")

    def happen(place: Path) -> None:
        if not (public / "happened").exists():
            (public / "happened").touch()
            change(place)

    answer = await get(race(public, happen, html=True), "/sub/a.txt")
    assert (answer.status, answer.body) == (404, b"nothing")


class Waiting(StaticFiles):
    """Something happens when the response is ready, before it is sent."""

    happen: Callable[[], None]

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        await anyio.to_thread.run_sync(self.happen)
        return response


@pytest.mark.parametrize("change", CHANGES)
async def test_a_file_that_was_not_kept_open_is_a_404(
    public: Path, change: Callable[[Path], None]
) -> None:
    # A client that may have the file already gets it by another look.
    app = Waiting(directory=public, check_dir=False)
    app.happen = lambda: change(public / "sub")
    app.get_path = lambda scope: "sub/large.bin"  # type: ignore[method-assign]
    assert await find_status(app, "/") == 200
    assert await find_status(app, "/") == 404


@pytest.mark.parametrize("change", [link_directory, link_file, delete, make_directory])
async def test_a_conditional_request_is_a_404_too(
    public: Path, change: Callable[[Path], None]
) -> None:
    app = Waiting(directory=public, check_dir=False)
    app.happen = lambda: change(public / "sub")
    scope = build_scope("/sub/large.bin", "GET", ("if-none-match", '"other"'))
    with pytest.raises(Exception, match="404: Not Found"):
        await call(app, scope)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", NAMES)
async def test_a_file_that_is_open_is_sent_whatever_happens(
    public: Path, change: Callable[[Path], None], name: str
) -> None:
    app = Waiting(directory=public, check_dir=False)
    app.happen = lambda: change(public / "sub")
    answer = await get(app, f"/sub/{name}")
    assert answer.body == b"a" * (1 if name == "a.txt" else LARGE)


async def test_a_file_that_shrinks_while_it_is_sent_ends_the_connection(public: Path) -> None:
    app = Waiting(directory=public, check_dir=False)
    app.happen = lambda: os.truncate(public / "sub/large.bin", 10)
    with pytest.raises(RuntimeError, match="shorter than expected"):
        await get(app, "/sub/large.bin")


def count_descriptors(public: Path) -> int:
    """Count the files of the tree that this process has open."""
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum(link.readlink().is_relative_to(public) for link in links)


class Wasteful(StaticFiles):
    """Asks for two responses and sends one."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        await super().get_response(path, scope)
        return await super().get_response(path, scope)


async def test_no_file_stays_open(public: Path) -> None:
    apps = [StaticFiles(directory=public, check_dir=False)]
    apps.append(Wasteful(directory=public, check_dir=False))
    tag = (await get(apps[0], "/sub/large.bin")).headers[b"etag"].decode()
    fields = [
        ("accept", "*/*"),
        ("range", "bytes=0-1"),
        ("range", "lines=0-1"),
        ("if-none-match", tag),
        ("if-none-match", '"x"'),
    ]
    servers: list[dict[str, Any]] = [{}, {"http.response.pathsend": {}}]
    for app, method, extensions, field in product(apps, ("GET", "HEAD"), servers, fields):
        await get(app, "/sub/large.bin", field, method=method, extensions=extensions)
    assert await anyio.to_thread.run_sync(count_descriptors, public) == 0


async def test_a_client_that_goes_leaves_no_file_open(public: Path) -> None:
    app = StaticFiles(directory=public, check_dir=False)

    async def leave() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def stay() -> dict[str, Any]:
        await anyio.sleep_forever()
        return {}

    async def send(message: Any) -> None:
        await anyio.sleep(0.001)

    for _ in range(20):
        await app(build_scope("/sub/large.bin"), leave, send)
        with anyio.move_on_after(0.002):
            await app(build_scope("/sub/large.bin"), stay, send)
    assert await anyio.to_thread.run_sync(count_descriptors, public) == 0


async def test_a_response_may_be_sent_twice(public: Path) -> None:
    app = StaticFiles(directory=public, check_dir=False)
    for name in NAMES:
        response = await app.get_response(f"sub/{name}", build_scope("/"))
        assert isinstance(response, FileResponse)
        first = await call(response, build_scope("/"))
        assert (await call(response, build_scope("/"))).messages == first.messages
