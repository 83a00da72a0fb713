"""`StaticFiles`: hidden names, `Cache-Control`, and pages of an application in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from framework.applications import App
from framework.concurrency import run_in_threadpool
from framework.responses import Response
from framework.routing import Mount
from framework.staticfiles import StaticFiles
from framework.types import Scope
from tests.framework.asgi import call
from tests.framework.static_requests import find_status, get

pytestmark = pytest.mark.anyio

HTML = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
YEAR = "max-age=31536000, immutable"

HIDDEN = [
    ".env",
    ".git/config",
    "sub/.env",
    "sub/.git/HEAD",
    "sub/.well-known/a",
    ".well-known/.env",
    "..env",
    "settings.py~",
    "old~/a.txt",
    "#settings.py#",
    ".settings.py.swp",
    ".DS_Store",
]
SHOWN = [".well-known/security.txt", "a.txt", "a~b.txt", "#a.txt", "a#", "a..txt", "sub/a.", "~a"]


def make(root: Path, *names: str) -> Path:
    """Make files that contain their names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


@pytest.mark.parametrize("name", HIDDEN)
async def test_a_hidden_name_is_a_404(tmp_path: Path, name: str) -> None:
    make(tmp_path, name, "index.html", "404.html")
    choices: tuple[dict[str, Any], ...] = ({}, {"html": True}, {"spa": True})
    for options in choices:
        for method in ("GET", "HEAD"):
            app = StaticFiles(directory=tmp_path, check_dir=False, **options)
            assert await find_status(app, "/" + name, method) == 404
    assert (await get(app, "/" + name, HTML)).status == 404
    nested = App(routes=[Mount("/static", app)])
    assert (await get(nested, "/static//" + name)).status == 404


@pytest.mark.parametrize("name", HIDDEN)
async def test_hidden_names_are_served_on_request(tmp_path: Path, name: str) -> None:
    app = StaticFiles(directory=make(tmp_path, name), check_dir=False, dotfiles="allow")
    assert (await get(app, "/" + name)).body == name.encode()


@pytest.mark.parametrize("name", SHOWN)
async def test_other_names_are_not_hidden(tmp_path: Path, name: str) -> None:
    app = StaticFiles(directory=make(tmp_path, name), check_dir=False)
    assert (await get(app, "/" + name)).body == name.encode()


async def test_the_directory_itself_may_be_hidden(tmp_path: Path) -> None:
    app = StaticFiles(directory=make(tmp_path, ".cache/a.txt") / ".cache", check_dir=False)
    assert (await get(app, "/a.txt")).status == 200


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dotfiles": "ignore"}, "dotfiles='ignore': use 'deny' or 'allow'"),
        ({"cache_bytes": -1}, "cache_bytes=-1 must not be negative"),
        ({"cache_control": "max-age=1\r\nx: y"}, "control character"),
    ],
)
def test_an_option_that_is_none_is_refused(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        StaticFiles(directory=tmp_path, **options)


HASHED = [
    "app.3f2a91bc.js",
    "app-3f2a91bc.css",
    "a.3f2a91bc.js.map",
    "jquery.min.55e7cbb9ba48.css",
    "a.55e7cbb9ba48.min.css",
    "fonts/inter.0a1b2c3d4e5f60718293a4b5c6d7e8f9.woff2",
]
NOT_HASHED = [
    "app.js",
    "report-20240101.pdf",  # a date
    "a.12345678.js",
    "x.deadbeef.js",  # a word
    "jquery-compiled.js",
    "model-iphone15.png",
    "a-3f2a91b.js",  # too short
    "a-3f2a91bg.js",
    "a.3F2A91BC.js",
    "a.3f2a91bc",  # no extension
    "a.3f2a91bc.js.map.txt",
    "3f2a91bc.js",  # nothing but the hash: maybe an id
    "a.3f2a91bc/b.js",
]


@pytest.mark.parametrize("name", HASHED)
async def test_a_name_with_a_hash_is_immutable(tmp_path: Path, name: str) -> None:
    app = StaticFiles(directory=make(tmp_path, name), check_dir=False, cache_control="no-cache")
    answer = await get(app, "/" + name)
    assert answer.headers[b"cache-control"] == b"public, " + YEAR.encode()


@pytest.mark.parametrize("name", NOT_HASHED)
async def test_a_name_without_one_gets_the_usual_policy(tmp_path: Path, name: str) -> None:
    app = StaticFiles(directory=make(tmp_path, name), check_dir=False, cache_control="no-cache")
    assert (await get(app, "/" + name)).headers[b"cache-control"] == b"no-cache"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("public, max-age=60", "public, " + YEAR),
        ("max-age=60, Private", "private, " + YEAR),
        ("no-store", "no-store"),
        ("private, no-store", "private, no-store"),
    ],
)
async def test_immutable_does_not_widen_who_may_keep_a_file(
    tmp_path: Path, policy: str, expected: str
) -> None:
    make(tmp_path, "app.3f2a91bc.js")
    app = StaticFiles(directory=tmp_path, check_dir=False, cache_control=policy)
    answer = await get(app, "/app.3f2a91bc.js")
    assert answer.headers[b"cache-control"].decode() == expected


async def test_a_file_with_another_status_is_not_kept(tmp_path: Path) -> None:
    class Missing(StaticFiles):
        async def get_response(self, path: str, scope: Scope) -> Response:
            full_path, result = await run_in_threadpool(self.lookup_path, "404.a1b2c3d4.html")
            assert result is not None
            return self.file_response(full_path, result, scope, 404)

    make(tmp_path, "404.a1b2c3d4.html")
    app = Missing(directory=tmp_path, check_dir=False, cache_control="max-age=60")
    answer = await get(app, "/nothing")
    assert (answer.status, b"cache-control" in answer.headers) == (404, False)


async def test_a_rule_decides_alone(tmp_path: Path) -> None:
    asked = []

    def choose(name: str) -> str | None:
        asked.append(name)
        return None if name.endswith(".html") else "max-age=7"

    make(tmp_path, "sub/app.3f2a91bc.js", "sub/index.html")
    app = StaticFiles(directory=tmp_path, check_dir=False, html=True, cache_control=choose)
    answer = await get(app, "/sub/../sub//app.3f2a91bc.js")
    assert answer.headers[b"cache-control"] == b"max-age=7"
    assert b"cache-control" not in (await get(app, "/sub/")).headers
    assert asked == ["sub/app.3f2a91bc.js", "sub/index.html"]


async def test_there_is_no_policy_unless_asked_for_and_none_on_404(tmp_path: Path) -> None:
    make(tmp_path, "a.txt", "404.html")
    plain = StaticFiles(directory=tmp_path, check_dir=False)
    assert b"cache-control" not in (await get(plain, "/a.txt")).headers
    app = StaticFiles(directory=tmp_path, check_dir=False, html=True, cache_control="max-age=60")
    missing = await get(app, "/app.3f2a91bc.js")
    assert missing.status == 404
    assert b"cache-control" not in missing.headers
    assert (await get(app, "/a.txt")).headers[b"cache-control"] == b"max-age=60"


async def test_304_and_parts_have_the_policy_too(tmp_path: Path) -> None:
    make(tmp_path, "a.txt")
    app = StaticFiles(directory=tmp_path, check_dir=False, cache_control="max-age=60")
    for field, status in ((("if-none-match", "*"), 304), (("range", "bytes=0-0"), 206)):
        answer = await get(app, "/a.txt", field)
        assert (answer.status, answer.headers[b"cache-control"]) == (status, b"max-age=60")


class Chosen(StaticFiles):
    """Finds the file itself, as some applications do."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        file = Path(str(self.directory), "a.txt")
        return self.file_response(file, await run_in_threadpool(file.stat), scope)


async def test_a_file_that_a_subclass_has_found_is_served_alike(tmp_path: Path) -> None:
    asked: list[str] = []
    app = Chosen(directory=make(tmp_path, "a.txt"), cache_control=asked.append, check_dir=False)
    assert (await get(app, "/any", ("range", "bytes=0-0"))).body == b"a"
    assert asked == [str(tmp_path / "a.txt")]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build tool makes of an application in the browser."""
    root = tmp_path_factory.mktemp("pages")
    return make(root, "index.html", "assets/app.js", "docs/index.html")


@pytest.mark.parametrize("path", ["/users", "/users/7", "/users/7/", "/assets", "/ä", "/a" * 200])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_browser_gets_the_page_for_a_path_of_the_application(
    pages: Path, path: str, method: str
) -> None:
    app = StaticFiles(directory=pages, spa=True, check_dir=False, cache_control="no-cache")
    answer = await get(app, path, HTML, method=method)
    assert answer.status == 200
    assert answer.body == (b"index.html" if method == "GET" else b"")
    assert answer.headers[b"content-type"] == b"text/html; charset=utf-8"
    assert answer.headers[b"vary"] == b"Accept"
    assert answer.headers[b"cache-control"] == b"no-cache"
    known = await get(app, path, HTML, ("if-none-match", answer.headers[b"etag"].decode()))
    assert (known.status, known.headers[b"vary"]) == (304, b"Accept")


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/assets/none.js", HTML[1]),
        ("/favicon.ico", HTML[1]),
        ("/.env", HTML[1]),
        ("/.git/HEAD", HTML[1]),
        ("/../secret", HTML[1]),
        ("/../../etc/passwd", HTML[1]),
        ("/a\x00", HTML[1]),
        ("/users", "*/*"),
        ("/users", "application/json"),
        ("/users", "text/html;q=0, */*"),
        ("/users", "text/html; Q=0.000"),
        ("/users", "text/htmlx"),
        ("/users", ""),
        ("/users", "text/html," + "x/y," * 1000),
    ],
)
async def test_nobody_else_does(pages: Path, path: str, accept: str) -> None:
    app = App(routes=[Mount("/", StaticFiles(directory=pages, spa=True, check_dir=False))])
    answer = await get(app, path, ("accept", accept))
    assert answer.status == 404
    assert answer.headers.get(b"vary") == (b"Accept" if path in ("/users", "/a\x00") else None)


async def test_files_and_indexes_come_before_the_page(pages: Path) -> None:
    app = StaticFiles(directory=pages, spa=True, check_dir=False)
    for path in ("/", "/index.html"):
        assert (await get(app, path)).body == b"index.html"
    assert (await get(app, "/docs/", HTML)).body == b"docs/index.html"
    assert (await get(app, "/docs", HTML)).headers[b"location"] == b"/docs/"
    script = await get(app, "/assets/app.js", HTML)
    assert script.body == b"assets/app.js"
    assert b"vary" not in script.headers


async def test_other_methods_and_websockets_get_no_page(pages: Path) -> None:
    app = App(routes=[Mount("/", StaticFiles(directory=pages, spa=True, check_dir=False))])
    refusal = await get(app, "/users", HTML, method="POST")
    assert (refusal.status, refusal.headers[b"allow"]) == (405, b"GET, HEAD")
    socket = await call(app, {"type": "websocket", "path": "/users", "headers": []})
    assert [message["type"] for message in socket.messages] == ["websocket.close"]


async def test_without_a_page_nothing_is_found(tmp_path: Path) -> None:
    app = StaticFiles(directory=make(tmp_path, "404.html"), spa=True, check_dir=False)
    answer = await get(app, "/users", HTML)
    assert (answer.status, answer.body, answer.headers[b"vary"]) == (404, b"404.html", b"Accept")
    assert b"vary" not in (await get(app, "/a.js", HTML)).headers
