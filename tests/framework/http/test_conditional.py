"""Validators of files and `If-Range`."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given, strategies as st

from framework._http.conditional import allows_range, build_validators

DATE = "Wed, 02 Jan 2030 03:04:05 GMT"

CONDITIONS = [
    (None, '"a"', True),
    ('"a"', '"a"', True),
    ('"b"', '"a"', False),
    ('W/"a"', '"a"', False),
    ('W/"a"', 'W/"a"', False),
    ('"a"', 'W/"a"', False),
    ('"a"', None, False),
    (DATE, '"a"', True),
    ("Wed, 02 Jan 2030 03:04:06 GMT", '"a"', False),
    ("a", '"a"', False),
    ("", '"a"', False),
    ('"a", "b"', '"a"', False),
]


@pytest.mark.parametrize(("if_range", "etag", "allows"), CONDITIONS)
def test_a_range_needs_a_strong_match(if_range: str | None, etag: str | None, allows: bool) -> None:
    assert allows_range(if_range, etag, DATE) is allows


def test_no_date_matches_where_there_is_none() -> None:
    assert not allows_range(DATE, '"a"', None)


times = st.floats(0, 4e9)
sizes = st.integers(0, 2**50)


@given(times, sizes, times, sizes)
def test_another_size_or_time_is_another_tag(a: float, m: int, b: float, n: int) -> None:
    assert (build_validators(a, m)[0] == build_validators(b, n)[0]) == ((a, m) == (b, n))


@given(times, sizes)
def test_a_validator_allows_the_range_that_it_was_sent_for(modified: float, size: int) -> None:
    etag, last_modified = build_validators(modified, size)
    assert allows_range(etag, etag, last_modified)
    assert allows_range(last_modified, etag, last_modified)
    assert not allows_range("W/" + etag, etag, last_modified)
    assert abs(parsedate_to_datetime(last_modified).timestamp() - modified) < 1
