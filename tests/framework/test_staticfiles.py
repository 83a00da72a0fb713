"""`StaticFiles`: what is served, what is refused, and that nothing outside of the tree is."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from framework.applications import App
from framework.exceptions import HTTPException
from framework.responses import Response
from framework.routing import Mount
from framework.staticfiles import StaticFiles
from framework.types import Scope
from tests.framework.asgi import call
from tests.framework.static_requests import find_status, get

pytestmark = pytest.mark.anyio

SECRET = b"secret"
NOBODY = 65534

SERVED = {
    "/a.txt": b"a",
    "/empty.txt": b"",
    "/sub/b.txt": b"b",
    "/sub//b.txt": b"b",
    "/sub/../a.txt": b"a",
    "/a.txt/": b"a",
    "//a.txt": b"a",
    "/ü ñ.txt": b"u",
    "/50%.txt": b"percent",
    "/line\nend.txt": b"line",
    "/\udcff.bin": b"bytes",
    "/inside.txt": b"a",
    "/inside/b.txt": b"b",
}
REFUSED = [
    "",
    "/",
    "/none.txt",
    "/sub",
    "/A.txt",
    "/a.txt/more",
    "/../secret.txt",
    "/../../secret.txt",
    "/sub/../../secret.txt",
    "/../public-not/secret.txt",
    "/%2e%2e/secret.txt",
    "/..\\secret.txt",
    "/\\etc\\passwd",
    "//etc/passwd",
    "/outside.txt",
    "/outside/secret.txt",
    "/loop",
    "/loop/a.txt",
    "/dangling.txt",
    "/pipe",
    "/.env",
]
IMPOSSIBLE = [
    "/\x00",
    "/a.txt\x00",
    "/\x00/../a\x00.txt",
    "/" + "n" * 300,
    "/sub/" + "n" * 300 + "/b.txt",
    "/" + "n/" * 3000,
    "/\ud800",
    "/sub/\ud800.txt",
]


def fill(root: Path) -> Path:
    """Make the tree of these tests and return the directory to serve."""
    public = root / "public"
    outside = root / "public-not"
    (public / "sub").mkdir(parents=True)
    outside.mkdir()
    (root / "secret.txt").write_bytes(SECRET)
    (outside / "secret.txt").write_bytes(SECRET)
    files = {
        "a.txt": b"a",
        "empty.txt": b"",
        "sub/b.txt": b"b",
        "ü ñ.txt": b"u",
        "50%.txt": b"percent",
        "line\nend.txt": b"line",
        "\udcff.bin": b"bytes",
        ".env": b"dot",
    }
    for name, content in files.items():
        (public / name).write_bytes(content)
    (public / "inside.txt").symlink_to("a.txt")
    (public / "inside").symlink_to(public / "sub")
    (public / "outside.txt").symlink_to("../secret.txt")
    (public / "outside").symlink_to(outside)
    (public / "loop").symlink_to("loop")
    (public / "dangling.txt").symlink_to("none")
    os.mkfifo(public / "pipe")
    return public


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all kinds of names; what lies beside it must stay out of reach."""
    return fill(tmp_path_factory.mktemp("static"))


@pytest.mark.parametrize(("path", "content"), SERVED.items(), ids=[ascii(path) for path in SERVED])
async def test_a_file_is_served(public: Path, path: str, content: bytes) -> None:
    answer = await get(StaticFiles(directory=public, check_dir=False), path)
    assert (answer.status, answer.body) == (200, content)


async def test_the_directory_may_be_relative_or_a_link(
    public: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "current").symlink_to(public)
    monkeypatch.chdir(tmp_path)
    assert (await get(StaticFiles(directory="current", check_dir=False), "/a.txt")).body == b"a"


async def test_the_root_of_the_file_system_may_be_served(public: Path) -> None:
    assert (
        await get(StaticFiles(directory="/", check_dir=False), str(public / "a.txt"))
    ).body == b"a"


async def test_head_has_the_headers_of_get_and_no_body(public: Path) -> None:
    app = StaticFiles(directory=public, check_dir=False)
    head, whole = await get(app, "/a.txt", method="HEAD"), await get(app, "/a.txt")
    assert head.headers == whole.headers
    assert head.headers[b"content-length"] == b"1"
    assert head.headers[b"content-type"] == b"text/plain; charset=utf-8"
    assert head.body == b""


async def test_a_part_of_a_file_is_served(public: Path) -> None:
    answer = await get(
        StaticFiles(directory=public, check_dir=False), "/50%.txt", ("range", "bytes=0-2")
    )
    assert (answer.status, answer.body) == (206, b"per")


@pytest.mark.parametrize("path", REFUSED + IMPOSSIBLE, ids=lambda path: ascii(path)[:30])
async def test_what_is_no_file_of_the_tree_is_a_404(public: Path, path: str) -> None:
    assert await find_status(StaticFiles(directory=public, check_dir=False), path) == 404
    assert await find_status(StaticFiles(directory=public, html=True, check_dir=False), path) == 404


@pytest.mark.parametrize("path", ["/loop", "/dangling.txt", "/../secret.txt", *IMPOSSIBLE])
async def test_links_that_are_followed_change_nothing_else(public: Path, path: str) -> None:
    app = StaticFiles(directory=public, follow_symlink=True, check_dir=False)
    assert await find_status(app, path) == 404


@pytest.mark.parametrize("path", ["/outside.txt", "/outside/secret.txt"])
async def test_links_out_of_the_tree_are_followed_on_request(public: Path, path: str) -> None:
    app = StaticFiles(directory=public, follow_symlink=True, check_dir=False)
    assert (await get(app, path)).body == SECRET


@pytest.mark.parametrize("path", ["/etc/passwd", "\\etc\\passwd", "//etc/passwd"])
def test_an_absolute_path_is_not_looked_up(path: str) -> None:
    assert StaticFiles(directory="/").lookup_path(path) == ("", None)


SEGMENTS = [
    "", ".", "..", "...", "a.txt", "sub", "b.txt", "inside", "outside", "outside.txt", "loop",
    "secret.txt", "public", "public-not", "etc", "passwd", "\x00", "\ud800", "\\", "~", "%2e%2e",
]  # fmt: skip


@given(segments=st.lists(st.sampled_from(SEGMENTS), max_size=8))
def test_no_path_leads_out_of_the_tree(public: Path, segments: list[str]) -> None:
    app = StaticFiles(directory=public)
    path = app.get_path({"path": "/".join(segments)})
    try:
        found, result = app.lookup_path(path)
    except ValueError:
        return
    if result is not None:
        assert Path(found).is_relative_to(public.resolve())
        assert stat.S_ISDIR(result.st_mode) or Path(found).read_bytes() != SECRET


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "get"])
@pytest.mark.parametrize("path", ["/a.txt", "/none.txt"])
async def test_other_methods_are_refused(public: Path, method: str, path: str) -> None:
    with pytest.raises(HTTPException) as caught:
        await get(StaticFiles(directory=public, check_dir=False), path, method=method)
    assert caught.value.status_code == 405
    assert caught.value.headers == {"Allow": "GET, HEAD"}


async def test_below_an_application_refusals_are_answers(public: Path) -> None:
    app = App(routes=[Mount("/static", StaticFiles(directory=public, check_dir=False))])
    assert (await get(app, "/static/sub/b.txt")).body == b"b"
    assert (await get(app, "/static/none")).status == 404
    refusal = await get(app, "/static/a.txt", method="POST")
    assert (refusal.status, refusal.headers[b"allow"]) == (405, b"GET, HEAD")


async def test_a_websocket_is_refused(public: Path) -> None:
    answer = await get(StaticFiles(directory=public, check_dir=False), "/a.txt", type="websocket")
    assert answer.messages == [{"type": "websocket.close", "code": 1000, "reason": ""}]


async def test_it_has_no_lifespan(public: Path) -> None:
    with pytest.raises(RuntimeError, match="not 'lifespan'"):
        await call(StaticFiles(directory=public, check_dir=False), {"type": "lifespan"})


class Cached(StaticFiles):
    """What applications do to get a cache policy."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["cache-control"] = "no-cache"
        return response

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["x-path"] = path
        return response


async def test_a_subclass_may_change_responses(public: Path) -> None:
    whole = await get(Cached(directory=public, check_dir=False), "/sub/../a.txt")
    assert whole.headers[b"cache-control"] == b"no-cache"
    assert whole.headers[b"x-path"] == b"a.txt"
    known = await get(Cached(directory=public, check_dir=False), "/a.txt", ("if-none-match", "*"))
    assert (known.status, known.headers[b"cache-control"]) == (304, b"no-cache")


async def test_a_caller_of_get_response_needs_a_method_only(public: Path) -> None:
    app = StaticFiles(directory=public, check_dir=False)
    assert (await app.get_response("a.txt", {"method": "GET"})).status_code == 200
    with pytest.raises(HTTPException, match="404"):
        await app.get_response("../secret.txt", {"method": "GET"})


class Broken(StaticFiles):
    """A disk that fails."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        raise OSError(errno.EIO, "disk")


async def test_an_error_of_the_disk_is_not_hidden(public: Path) -> None:
    with pytest.raises(OSError, match="disk"):
        await get(Broken(directory=public, check_dir=False), "/a.txt")


@contextmanager
def as_nobody() -> Iterator[None]:
    """Run as a user without special rights; root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Path]:
    """A tree with files and directories that others may not read, in a folder that they may."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    for folder in ("closed", "listed"):
        (root / folder).mkdir()
        (root / folder / "index.html").touch()
    for name in ("open.txt", "closed.txt"):
        (root / name).write_text(name)
    (root / "closed.txt").chmod(0)
    (root / "closed").chmod(0)
    (root / "listed").chmod(0o444)
    yield root
    (root / "closed").chmod(0o700)
    (root / "listed").chmod(0o700)
    shutil.rmtree(root)


@pytest.mark.parametrize("html", [False, True])
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/open.txt", 200),
        ("/none.txt", 404),
        ("/closed.txt", 401),
        ("/closed/index.html", 401),
        ("/listed/index.html", 401),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_may_not_be_read_is_a_401(
    guarded: Path, path: str, status: int, method: str, html: bool
) -> None:
    app = StaticFiles(directory=guarded, html=html, check_dir=False)
    with as_nobody():
        assert await find_status(app, path, method) == status


@pytest.mark.parametrize("path", ["/closed/", "/listed/"])
async def test_an_index_that_may_not_be_read_is_a_401(guarded: Path, path: str) -> None:
    with as_nobody():
        assert (
            await find_status(StaticFiles(directory=guarded, html=True, check_dir=False), path)
            == 401
        )
        assert await find_status(StaticFiles(directory=guarded, check_dir=False), path) == 404
