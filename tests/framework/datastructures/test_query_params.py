"""Query parameters are read from anything a client can send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from starlette import datastructures as starlette

from framework.datastructures import ImmutableMultiDict, MultiDict, QueryParams


@pytest.mark.parametrize(
    "source",
    [
        "a=123&a=456&b=",
        b"a=123&a=456&b=",
        [("a", "123"), ("a", 456), ("b", "")],
        MultiDict([("a", 123), ("a", 456), ("b", "")]),
        QueryParams("a=123&a=456&b="),
    ],
)
def test_sources(source: Any) -> None:
    params = QueryParams(source)
    assert params.multi_items() == [("a", "123"), ("a", "456"), ("b", "")]
    assert params["a"] == "456"
    assert params.getlist("a") == ["123", "456"]
    assert dict(params) == {"a": "456", "b": ""}
    assert str(params) == "a=123&a=456&b="
    assert repr(params) == "QueryParams('a=123&a=456&b=')"
    assert params == QueryParams("b=&a=123&a=456")
    assert isinstance(params, ImmutableMultiDict)


def test_keywords_are_added_and_everything_is_text() -> None:
    assert str(QueryParams("a=1", b=2, c=None)) == "a=1&b=2&c=None"
    assert QueryParams({1: 2}).multi_items() == [("1", "2")]
    assert QueryParams(a=1)["a"] == "1"


@pytest.mark.parametrize("source", ["", b"", None, [], {}])
def test_nothing_gives_no_parameters(source: Any) -> None:
    assert QueryParams(source) == QueryParams()
    assert len(QueryParams(source)) == 0


QUERIES = st.binary() | st.text(alphabet="ab&=+%;C3A9 \xe9", max_size=30).map(
    lambda text: text.encode("latin-1")
)


@given(QUERIES)
def test_any_bytes_are_read_as_starlette_reads_them(query: bytes) -> None:
    ours, theirs = QueryParams(query), starlette.QueryParams(query)
    assert ours.multi_items() == theirs.multi_items()
    assert list(ours.items()) == list(theirs.items())
    assert repr(ours) == repr(theirs)
    assert QueryParams(str(ours)) == ours


@given(st.text())
def test_any_text_is_read_as_starlette_reads_it(query: str) -> None:
    assert QueryParams(query).multi_items() == starlette.QueryParams(query).multi_items()
