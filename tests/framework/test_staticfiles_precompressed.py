"""`StaticFiles(precompressed=True)`: which sibling of a file is sent to whom (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from framework.staticfiles import StaticFiles
from tests.framework.static_requests import find_status, get

pytestmark = pytest.mark.anyio

MODIFIED = 1_700_000_000
BROWSER = "gzip, deflate, br, zstd"


def write(path: Path, content: str, age: float = 0) -> None:
    """Write a file that was changed `age` seconds before the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (MODIFIED - age, MODIFIED - age))


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files with all, some and no siblings; contents tell which is which."""
    root = tmp_path_factory.mktemp("public")
    for suffix, content in {"": "plain", ".br": "br", ".zst": "zstd", ".gz": "gzip"}.items():
        write(root / f"app.js{suffix}", content)
        write(root / f"docs/index.html{suffix}", content)
        write(root / f"404.html{suffix}", content)
    write(root / "some.css", "plain")
    write(root / "some.css.gz", "gzip")
    write(root / "old.css", "plain")
    write(root / "old.css.br", "br", age=0.001)
    write(root / "old.css.gz", "gzip")
    write(root / "none.css", "plain")
    write(root / "folder.css", "plain")
    (root / "folder.css.br").mkdir()
    write(root / "linked.css", "plain")
    (root / "linked.css.br").symlink_to("app.js.br")
    return root


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (BROWSER, "br"),
        ("zstd, gzip", "zstd"),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("*", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0.5, zstd;q=0.7, gzip;q=0.6", "zstd"),
        ("br;q=0, *", "zstd"),
        ("br;q=0.001", "br"),
        ("gzip;q=0", "plain"),
        ("br;q=0,zstd;q=0.000,gzip;q=0", "plain"),
        ("*;q=0", "plain"),
        ("identity", "plain"),
        ("identity, gzip;q=0.5", "plain"),
        ("identity;q=0.5, gzip;q=0.5", "gzip"),
        ("deflate", "plain"),
        ("gzipped", "plain"),
        ("br;q=2", "plain"),
        ("br;q=x, gzip", "gzip"),
        ("br;q=, gzip;q", "plain"),
        (",,, gzip ,;", "gzip"),
        ("", "plain"),
        (None, "plain"),
        ("br," + "x," * 1000, "plain"),
        ("br;" * 300, "plain"),
    ],
)
@pytest.mark.parametrize("path", ["/app.js", "/docs/"])
async def test_the_client_chooses(
    public: Path, path: str, field: str | None, expected: str
) -> None:
    app = StaticFiles(directory=public, html=True, precompressed=True, check_dir=False)
    fields = [] if field is None else [("accept-encoding", field)]
    answer = await get(app, path, *fields)
    assert answer.body.decode() == expected
    coding = answer.headers.get(b"content-encoding", b"plain").decode()
    assert coding == expected
    assert answer.headers[b"vary"] == b"Accept-Encoding"
    assert answer.headers[b"content-length"] == str(len(expected)).encode()
    media_type = b"text/javascript" if path == "/app.js" else b"text/html"
    assert answer.headers[b"content-type"].startswith(media_type)
    assert (await get(app, path, *fields, method="HEAD")).headers == answer.headers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("some.css", "gzip"),
        ("old.css", "gzip"),
        ("none.css", "plain"),
        ("folder.css", "plain"),
        ("linked.css", "plain"),
    ],
)
async def test_what_is_no_current_file_is_passed_over(
    public: Path, name: str, expected: str
) -> None:
    app = StaticFiles(directory=public, precompressed=True, check_dir=False)
    answer = await get(app, "/" + name, ("accept-encoding", BROWSER))
    assert answer.body.decode() == expected
    assert answer.headers[b"vary"] == b"Accept-Encoding"


async def test_a_link_is_followed_where_links_are(public: Path) -> None:
    app = StaticFiles(directory=public, precompressed=True, follow_symlink=True, check_dir=False)
    assert (await get(app, "/linked.css", ("accept-encoding", "br"))).body == b"br"


async def test_each_variant_has_a_tag_of_its_own(public: Path) -> None:
    app = StaticFiles(directory=public, precompressed=True, check_dir=False)
    tags = {}
    for coding in ("br", "zstd", "gzip", "identity"):
        answer = await get(app, "/app.js", ("accept-encoding", coding))
        tags[coding] = answer.headers[b"etag"].decode()
    assert len(set(tags.values())) == 4
    for coding, tag in tags.items():
        for asked, status in ((coding, 304), ("deflate" if coding != "identity" else "br", 200)):
            fields = (("accept-encoding", asked), ("if-none-match", tag))
            answer = await get(app, "/app.js", *fields)
            assert (answer.status, answer.headers[b"vary"]) == (status, b"Accept-Encoding")


async def test_ranges_are_of_the_file_itself(public: Path) -> None:
    app = StaticFiles(directory=public, precompressed=True, check_dir=False)
    whole = await get(app, "/app.js", ("accept-encoding", "br"))
    assert whole.headers[b"accept-ranges"] == b"none"
    part = await get(app, "/app.js", ("accept-encoding", "br"), ("range", "bytes=1-2"))
    assert (part.status, part.body) == (206, b"la")
    assert b"content-encoding" not in part.headers
    tag = ("if-range", whole.headers[b"etag"].decode())
    other = await get(app, "/app.js", ("accept-encoding", "br"), ("range", "bytes=1-2"), tag)
    assert (other.status, other.body) == (200, b"plain")


async def test_the_page_for_nothing_and_siblings_themselves_are_as_they_are(public: Path) -> None:
    app = StaticFiles(directory=public, precompressed=True, html=True, check_dir=False)
    missing = await get(app, "/missing", ("accept-encoding", BROWSER))
    assert (missing.status, missing.body) == (404, b"plain")
    assert b"content-encoding" not in missing.headers
    sibling = await get(app, "/app.js.br", ("accept-encoding", BROWSER))
    assert (sibling.status, sibling.body) == (200, b"br")
    assert b"content-encoding" not in sibling.headers


async def test_a_sibling_without_its_file_is_nothing(tmp_path: Path) -> None:
    write(tmp_path / "app.js.br", "br")
    app = StaticFiles(directory=tmp_path, precompressed=True, check_dir=False)
    assert await find_status(app, "/app.js") == 404


async def test_without_the_option_there_is_no_choice(public: Path) -> None:
    answer = await get(
        StaticFiles(directory=public, check_dir=False), "/app.js", ("accept-encoding", "br")
    )
    assert answer.body == b"plain"
    assert b"vary" not in answer.headers


async def test_a_large_variant_is_sent_from_the_disk(tmp_path: Path) -> None:
    write(tmp_path / "app.js", "p" * 300_000)
    write(tmp_path / "app.js.br", "b" * 200_000)
    app = StaticFiles(directory=tmp_path, precompressed=True, check_dir=False)
    answer = await get(app, "/app.js", ("accept-encoding", "br"))
    assert answer.body == b"b" * 200_000
    assert answer.headers[b"content-encoding"] == b"br"
    sent = await get(
        app, "/app.js", ("accept-encoding", "br"), extensions={"http.response.pathsend": {}}
    )
    assert sent.headers == answer.headers
    assert sent.messages[1]["path"] == str(tmp_path / "app.js.br")


async def test_the_page_of_an_application_is_negotiated_too(tmp_path: Path) -> None:
    for suffix, content in {"": "plain", ".br": "br"}.items():
        write(tmp_path / f"index.html{suffix}", content)
    app = StaticFiles(directory=tmp_path, precompressed=True, spa=True, check_dir=False)
    fields = (("accept", "text/html"), ("accept-encoding", "br"))
    answer = await get(app, "/users", *fields)
    assert (answer.body, answer.headers[b"vary"]) == (b"br", b"Accept-Encoding, Accept")
