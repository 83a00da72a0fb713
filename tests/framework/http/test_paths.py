"""The path below a mount, and paths in URLs."""

from __future__ import annotations

from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given, strategies as st
from starlette import _utils as starlette_utils

from framework._http.paths import escape_misread, get_route_path, quote_path


@pytest.mark.parametrize(
    ("path", "root_path", "expected"),
    [
        ("/", "", "/"),
        ("", "", ""),
        ("/users/1", "", "/users/1"),
        ("/api/users", "/api", "/users"),
        ("/api", "/api", ""),
        ("/api/", "/api", "/"),
        ("/products", "/product", "/products"),
        ("/products/1", "/product", "/products/1"),
        ("/product/s", "/product", "/s"),
        ("/users", "/api", "/users"),
        ("/api/api/users", "/api", "/api/users"),
        ("/a/b/c", "/a/b", "/c"),
        ("/a/bc", "/a/b", "/a/bc"),
        ("/api//users", "/api", "//users"),
        ("/api", "/api/v1", "/api"),
        ("/é/x", "/é", "/x"),
        ("*", "/api", "*"),
    ],
)
def test_the_prefix_ends_at_a_segment_boundary(path: str, root_path: str, expected: str) -> None:
    assert get_route_path({"path": path, "root_path": root_path}) == expected


def test_without_root_path_the_whole_path_is_the_route_path() -> None:
    assert get_route_path({"path": "/users"}) == "/users"


SEGMENTS = st.lists(st.sampled_from(["a", "ab", "b", ""]), max_size=4).map(
    lambda names: "".join("/" + name for name in names)
)


@given(SEGMENTS, SEGMENTS)
def test_route_path_is_starlettes(path: str, root_path: str) -> None:
    scope = {"path": path, "root_path": root_path}
    assert get_route_path(scope) == starlette_utils.get_route_path(scope)


@pytest.mark.parametrize(
    ("path", "quoted"),
    [
        ("", ""),
        ("/", "/"),
        ("/users/1", "/users/1"),
        ("/café/a b", "/café/a b"),
        ("/a?b#c", "/a%3Fb%23c"),
        ("/a\\b", "/a%5Cb"),
        ("/100%", "/100%25"),
        ("/%2541", "/%252541"),
        ("//evil.example/x", "/%2Fevil.example/x"),
        ("///x", "/%2F/x"),
        ("/a//b", "/a//b"),
        ("/\t/evil.example", "/%09/evil.example"),
        ("/a\r\nb\x7f", "/a%0D%0Ab%7F"),
        ("*", "/*"),
        ("@evil.example", "/@evil.example"),
        ("javascript:x", "/javascript:x"),
    ],
)
def test_only_what_would_be_misread_is_escaped(path: str, quoted: str) -> None:
    assert quote_path(path) == quoted


@given(st.text().map(lambda text: "/" + text) | st.just(""))
def test_unquoting_gives_the_path_back(path: str) -> None:
    assert unquote(urlsplit("http://host" + quote_path(path)).path) == path


@given(st.text(alphabet="/\\a.\t\n\r \0?#%:@", max_size=12) | st.text(max_size=12))
def test_a_guarded_path_never_leads_to_another_host(path: str) -> None:
    guarded = escape_misread("/" + path)
    # As browsers do: control characters vanish, backslashes are slashes.
    seen = "".join(c for c in guarded if c > "\x1f").replace("\\", "/")
    assert urlsplit(urljoin("http://host/", seen)).netloc == "host"
    assert escape_misread(guarded) == guarded
