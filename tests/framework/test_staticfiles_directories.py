"""`StaticFiles`: directories, packages and the pages in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framework.applications import App
from framework.routing import Mount
from framework.staticfiles import StaticFiles
from tests.clients import ClientFactory
from tests.framework.static_requests import count_hops, find_status, get

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file."""
    root = tmp_path_factory.mktemp("public")
    (root / "a.txt").write_text("a")
    return root


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of pages."""
    root = tmp_path_factory.mktemp("site")
    for folder in ("", "docs", "d \udcff?"):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / "index.html").write_text(f"index of {folder}", errors="replace")
    (root / "empty").mkdir()
    (root / "odd" / "index.html").mkdir(parents=True)
    (root / "404.html").write_text("nothing here")
    return root


def test_the_directory_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="none' does not exist"):
        StaticFiles(directory=tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "message"), [("none", "does not exist"), ("file", "is not a directory")]
)
async def test_an_unchecked_directory_is_checked_in_each_request_until_it_is_there(
    tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "file").touch()
    app = StaticFiles(directory=tmp_path / name, check_dir=False)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=message):
            await get(app, "/a.txt")
    (tmp_path / "file").unlink()
    (tmp_path / name).mkdir()
    assert await find_status(app, "/a.txt") == 404


async def test_a_directory_that_is_gone_later_is_a_404(tmp_path: Path) -> None:
    (tmp_path / "public").mkdir()
    app = StaticFiles(directory=tmp_path / "public", check_dir=False)
    assert await find_status(app, "/a.txt") == 404
    (tmp_path / "public").rmdir()
    assert await find_status(app, "/a.txt") == 404


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two importable packages with files."""
    for name, folder in (("static_one", "statics"), ("static_two", "assets")):
        (tmp_path / name / folder).mkdir(parents=True)
        (tmp_path / name / "__init__.py").touch()
        (tmp_path / name / folder / "which.txt").write_text(name)
        (tmp_path / name / folder / f"{name}.txt").write_text("only here")
    (tmp_path / "static_namespace").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [each for each in sys.modules if each.startswith("static_")]:
        del sys.modules[name]


@pytest.fixture
def layered(public: Path, packages: None) -> StaticFiles:
    """A directory and two packages."""
    return StaticFiles(directory=public, packages=["static_one", ("static_two", "assets")])


async def test_directories_are_asked_in_order(public: Path, layered: StaticFiles) -> None:
    app = layered
    assert app.packages == ["static_one", ("static_two", "assets")]
    assert app.all_directories[0] == public
    assert (await get(app, "/a.txt")).body == b"a"
    assert (await get(app, "/which.txt")).body == b"static_one"
    assert (await get(app, "/static_two.txt")).body == b"only here"
    assert await find_status(app, "/none.txt") == 404


@pytest.mark.usefixtures("packages")
def test_packages_need_no_directory(client_factory: ClientFactory) -> None:
    client = client_factory(StaticFiles(packages=["static_one"]))
    assert client.get("/which.txt").text == "static_one"


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("package", "message"),
    [
        ("static_none", "'static_none' could not be found"),
        ("static_namespace", "'static_namespace' could not be found"),
        ("static_two", "'static_two' has no directory 'statics'"),
        (("static_one", "none"), "'static_one' has no directory 'none'"),
    ],
)
def test_a_package_has_to_have_the_directory(package: Any, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        StaticFiles(packages=[package])


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [
        ("/", 200, b"index of "),
        ("/docs/", 200, b"index of docs"),
        ("/docs/index.html", 200, b"index of docs"),
        ("/404.html", 200, b"nothing here"),
        ("/none", 404, b"nothing here"),
        ("/empty/", 404, b"nothing here"),
        ("/odd/", 404, b"nothing here"),
        ("/" + "n" * 300, 404, b"nothing here"),
    ],
)
async def test_pages_are_found(site: Path, path: str, status: int, content: bytes) -> None:
    answer = await get(StaticFiles(directory=site, html=True, check_dir=False), path)
    assert (answer.status, answer.body) == (status, content)
    assert answer.headers[b"content-type"] == b"text/html; charset=utf-8"


async def test_directories_have_no_pages_unless_asked_for(site: Path) -> None:
    for path in ("/", "/docs/", "/docs", "/none"):
        assert await find_status(StaticFiles(directory=site, check_dir=False), path) == 404


@pytest.mark.parametrize(
    ("scope", "location"),
    [
        ({"path": "/docs"}, b"/docs/"),
        ({"path": "/docs", "query_string": b"a=%20b"}, b"/docs/?a=%20b"),
        ({"path": "//docs"}, b"/docs/"),
        ({"path": "/./docs"}, b"/./docs/"),
        ({"path": "/d \udcff?"}, b"/d%20%FF%3F/"),
        ({"path": "/docs", "root_path": "/app"}, b"/app/docs/"),
        ({"path": "/app/docs", "root_path": "/app"}, b"/app/docs/"),
    ],
)
async def test_the_page_of_a_directory_lies_in_it(
    site: Path, scope: dict[str, Any], location: bytes
) -> None:
    app = StaticFiles(directory=site, html=True, check_dir=False)
    answer = await get(app, headers=[(b"host", b"evil.example")], **scope)
    assert (answer.status, answer.headers[b"location"]) == (307, location)


async def test_a_redirect_stays_below_the_mount(site: Path) -> None:
    app = App(routes=[Mount("/static", StaticFiles(directory=site, html=True, check_dir=False))])
    assert (await get(app, "/static/docs")).headers[b"location"] == b"/static/docs/"


async def test_the_page_for_nothing_has_no_conditions(site: Path) -> None:
    app = StaticFiles(directory=site, html=True, check_dir=False)
    answer = await get(app, "/none", ("if-none-match", "*"), ("range", "bytes=0-1"))
    assert (answer.status, answer.body) == (404, b"nothing here")


async def test_one_hop_to_a_thread_does_it_all(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "large.bin").write_bytes(b"x" * 100_000)
    app = StaticFiles(directory=site, html=True, check_dir=False)
    await get(app, "/docs/")
    hops = count_hops(monkeypatch)
    pathsend: dict[str, Any] = {"http.response.pathsend": {}}
    for path, extensions in (
        ("/docs/", {}),
        ("/none", {}),
        ("/docs", {}),
        ("/large.bin", {}),
        ("/large.bin", pathsend),
    ):
        hops.clear()
        await get(app, path, extensions=extensions)
        assert hops == ["files"], path
