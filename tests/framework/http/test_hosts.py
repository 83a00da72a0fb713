"""Which `Host` fields are well formed, and what is read from them."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, strategies as st
from starlette._utils import parse_host_header

from framework._http.hosts import ParsedHost, find_host, is_private

WELL_FORMED = [
    ("example.org", "example.org", None),
    ("EXAMPLE.org:8000", "EXAMPLE.org", 8000),
    ("example.org.", "example.org.", None),
    ("a_b-c~d", "a_b-c~d", None),
    ("x%2fy", "x%2fy", None),
    ("127.0.0.1:80", "127.0.0.1", 80),
    ("[::1]", "[::1]", None),
    ("[::1]:443", "[::1]", 443),
    ("[::ffff:1.2.3.4]", "[::ffff:1.2.3.4]", None),
    ("[v1.fe80::a+en1]", "[v1.fe80::a+en1]", None),
    ("example.org:", "example.org", None),
    ("example.org:0", "example.org", 0),
    ("example.org:00080", "example.org", 80),
    ("example.org:65535", "example.org", 65535),
]
MALFORMED = [
    "", ":80", "a/?", "a/b", "a#", "a?", "a\\", "a@b", "@a", "u:p@a", "a b", " a", "a ", "a\t", "a\n",
    "a\0", "a,b", "a:1,b:2", "a:99999", "a:65536", "a:-1", "a:+1", "a:1x", "a:1:2", "a:٣", "a:" + "9" * 5000,
    "[::1", "::1", "[::1]x", "[::1]]", "[]", "[1.2.3.4]", "[::1%25eth0]", "[::1%eth0]", "[gggg::]",
    "[:::::::::]", "[V1.a]", "[v.a]", "[v1.]", "é.example", "\u212a.example", "%", "%zz", "a<b", 'a"b',
    "http://a", "a{b}", "a|b", "a^b", "a`b",
]  # fmt: skip


@pytest.mark.parametrize(("value", "host", "port"), WELL_FORMED)
def test_host_and_port_are_read(value: str, host: str, port: int | None) -> None:
    assert find_host(value) == ParsedHost(host, port, value.removesuffix(":"))


@pytest.mark.parametrize("value", MALFORMED)
def test_malformed_is_none(value: str) -> None:
    assert find_host(value) is None


@pytest.mark.parametrize("port", ["65536", "99999", "100000", "9" * 5000])
def test_a_port_that_there_cannot_be_is_left_out_where_it_does_not_count(port: str) -> None:
    found = find_host(f"example.org:{port}", any_port=True)
    assert found == ParsedHost("example.org", None, "example.org")


@pytest.mark.parametrize(
    "value", [value for value in MALFORMED if "9" not in value and ":65" not in value]
)
def test_nothing_else_is_let_pass_with_any_port(value: str) -> None:
    assert find_host(value, any_port=True) is None


HOST_LIKE = st.text(alphabet="aZ0.-_~%[]:v1f@/?#\\, \t\n&=;\xe9", max_size=24) | st.text(
    max_size=24
)


@given(HOST_LIKE)
def test_an_authority_is_read_the_same_way_inside_a_url(value: str) -> None:
    parsed = find_host(value)
    if parsed is not None:
        parts = urlsplit(f"http://{parsed.authority}/path?query#fragment")
        assert parts.hostname == parsed.host.strip("[]").lower()
        assert parts.port == parsed.port
        assert (parts.username, parts.path) == (None, "/path")


@given(HOST_LIKE)
def test_stricter_than_starlette_but_for_an_empty_port(value: str) -> None:
    parsed, theirs = find_host(value), parse_host_header(value)
    if parsed is not None and not value.endswith(":"):
        assert theirs is not None
        assert theirs.is_valid_port
        assert theirs.host == parsed.host
        assert (theirs.port is None) == (parsed.port is None)


@given(st.from_regex(r"\A[a-zA-Z0-9.-]{1,20}\Z"), st.none() | st.integers(0, 65535))
def test_usual_hosts_are_well_formed(host: str, port: int | None) -> None:
    value = host if port is None else f"{host}:{port}"
    assert find_host(value) == ParsedHost(host, port, value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *(("localhost", True), ("LOCALHOST.", True), ("a.Localhost", True), ("test", True)),
        *(("10.0.0.1", True), ("192.0.2.1.", True), ("[::1]", True), ("[::ffff:192.0.2.1]", True)),
        *(("example.org", False), ("localhost.example", False), ("1.2.3", False)),
        *(("1.2.3.4.5", False), ("1.2.3.4.example", False), ("a.localhosts", False)),
    ],
)
def test_a_private_host_is_known(host: str, expected: bool) -> None:
    assert is_private(host) is expected
