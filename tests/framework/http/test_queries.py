"""Reading query strings."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import example, given, strategies as st

from framework._http.queries import parse_query, quote_query


@pytest.mark.parametrize(
    ("query", "pairs"),
    [
        ("", []),
        ("&&", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=1", [("", "1")]),
        ("=", [("", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("a;b=1;c", [("a;b", "1;c")]),
        ("q=hello+world", [("q", "hello world")]),
        ("q=1%2B1", [("q", "1+1")]),
        ("%61%3D=%26", [("a=", "&")]),
        ("q=J%C3%BCrgen", [("q", "Jürgen")]),
        ("q=%FF%C3", [("q", "\ufffd\ufffd")]),
        ("q=%zz%4", [("q", "%zz%4")]),
        ("q=\xc3%A9", [("q", "\xc3\ufffd")]),
    ],
)
def test_names_and_values_are_read(query: str, pairs: list[tuple[str, str]]) -> None:
    assert parse_query(query) == pairs


QUERIES = st.text(alphabet="ab&=+;%0123456789ABCDEFabcdef\xe9\u20ac", max_size=40) | st.text()


@given(QUERIES | st.binary().map(lambda raw: raw.decode("latin-1")))
@example("\ud800=%41\udfff")
@example("%e2%82\xa9")
def test_the_result_is_that_of_the_standard_library(query: str) -> None:
    assert parse_query(query) == parse_qsl(query, keep_blank_values=True)


@given(st.binary())
def test_any_query_string_can_stand_in_a_url(query: bytes) -> None:
    quoted = quote_query(query)
    parts = urlsplit(f"http://host/?{quoted}")
    assert (parts.query, parts.fragment) == (quoted, "")


def test_a_query_string_in_ascii_stays_as_it_is() -> None:
    query = bytes(code for code in range(0x20, 0x7F) if code != ord("#"))
    assert quote_query(query) == query.decode()
    assert quote_query(b"a#\xc3\xa9\n") == "a%23%C3%A9%0A"
