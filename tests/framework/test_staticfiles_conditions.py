"""`StaticFiles` and clients that have the file already (RFC 9110 section 13)."""

from __future__ import annotations

import os
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from framework.datastructures import Headers
from framework.staticfiles import NotModifiedResponse, StaticFiles
from tests.framework.asgi import build_scope
from tests.framework.static_requests import get

pytestmark = pytest.mark.anyio

MODIFIED = 1_700_000_000


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file whose age is known."""
    root = tmp_path_factory.mktemp("public")
    (root / "a.txt").write_text("a")
    os.utime(root / "a.txt", (MODIFIED, MODIFIED))
    return root


def build_date(seconds: float) -> str:
    return formatdate(MODIFIED + seconds, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([("if-none-match", "{etag}")], 304),
        ([("if-none-match", "W/{etag}")], 304),
        ([("if-none-match", '"x", {etag}')], 304),
        ([("if-none-match", '"x,y",W/{etag} ,"z"')], 304),
        ([("if-none-match", " * ")], 304),
        ([("if-none-match", '"x"')], 200),
        ([("if-none-match", '"*"')], 200),
        ([("if-none-match", "x")], 200),
        ([("if-none-match", '"')], 200),
        ([("if-none-match", '"x"'), ("if-modified-since", build_date(0))], 200),
        ([("if-none-match", ""), ("if-modified-since", build_date(0))], 304),
        ([("if-modified-since", build_date(0))], 304),
        ([("if-modified-since", build_date(1))], 304),
        ([("if-modified-since", build_date(-1))], 200),
        ([("if-modified-since", "Tuesday, 14-Nov-23 22:13:20 GMT")], 304),
        ([("if-modified-since", "Tue Nov 14 22:13:20 2023")], 304),
        ([("if-modified-since", "")], 200),
        ([("if-modified-since", "yesterday")], 200),
        ([("if-modified-since", "Tue, 99999999999 Nov 2023")], 200),
        ([("if-modified-since", f"Tue, {'9' * 5000} Nov 2023 22:13:20 GMT")], 200),
    ],
)
async def test_a_client_that_has_the_file_gets_304(
    public: Path, headers: list[tuple[str, str]], status: int
) -> None:
    app = StaticFiles(directory=public, check_dir=False)
    etag = (await get(app, "/a.txt")).headers[b"etag"].decode()
    filled = [(name, value.replace("{etag}", etag)) for name, value in headers]
    for method in ("GET", "HEAD"):
        answer = await get(app, "/a.txt", *filled, method=method)
        assert answer.status == status
        if status == 304:
            assert answer.headers == {b"etag": etag.encode()}
            assert answer.body == b""


def read_headers(name: str, value: str) -> Headers:
    """Return a header field as a server hands it over: unchecked."""
    return Headers(raw=[(name.encode(), value.encode("latin-1"))])


@given(field=st.text(st.characters(max_codepoint=255), max_size=70))
def test_no_date_is_an_error(public: Path, field: str) -> None:
    app = StaticFiles(directory=public)
    dates = read_headers("if-modified-since", field)
    assert app.is_not_modified(Headers({"last-modified": build_date(0)}), dates) in {True, False}
    assert not app.is_not_modified(Headers(), dates)
    tags = read_headers("if-none-match", field.replace("*", ""))
    assert not app.is_not_modified(Headers(), tags)


async def test_a_changed_file_is_sent_again(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    app = StaticFiles(directory=tmp_path, check_dir=False)
    etag = (await get(app, "/a")).headers[b"etag"].decode()
    (tmp_path / "a").write_text("newer")
    answer = await get(app, "/a", ("if-none-match", etag))
    assert (answer.status, answer.body) == (200, b"newer")


def test_304_keeps_what_caches_need() -> None:
    kept = dict.fromkeys(NotModifiedResponse.NOT_MODIFIED_HEADERS, "1")
    headers = Headers({**kept, "content-length": "5", "content-type": "a/b", "x-own": "1"})
    assert dict(NotModifiedResponse(headers).headers) == kept
    twice = Headers(raw=[(b"vary", b"Accept"), (b"vary", b"Origin")])
    assert NotModifiedResponse(twice).raw_headers == twice.raw


async def test_conditions_do_not_turn_another_status_into_304(public: Path) -> None:
    app = StaticFiles(directory=public, check_dir=False)
    path = public / "a.txt"
    scope = build_scope("/", "GET", ("if-none-match", "*"))
    assert app.file_response(path, path.stat(), scope, 404).status_code == 404
    assert app.file_response(path, path.stat(), scope).status_code == 304
