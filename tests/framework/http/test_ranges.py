"""Which bytes of a file a `Range` field selects."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from framework._http.ranges import merge_ranges, parse_ranges
from framework.exceptions import MalformedRangeHeader, RangeNotSatisfiable

HUGE = "9" * 5000

SELECTED = [
    ("bytes=0-9", [(0, 10)]),
    ("bytes=0-0", [(0, 1)]),
    ("bytes=49-", [(49, 50)]),
    ("bytes=10-9999", [(10, 50)]),
    ("bytes=-5", [(45, 50)]),
    ("bytes=-9999", [(0, 50)]),
    (f"bytes=10-{HUGE}", [(10, 50)]),
    (f"bytes=-{HUGE}", [(0, 50)]),
    ("bytes=" + "0" * 5000 + "7-8", [(7, 9)]),
    ("BYTES = 1 - 2 ", [(1, 3)]),
    ("bytes=5-6,0-1", [(0, 2), (5, 7)]),
    ("bytes=0-4,5-9", [(0, 10)]),
    ("bytes=0-9,3-4,8-12", [(0, 13)]),
    ("bytes=,0-1,,", [(0, 2)]),
    ("bytes=0-1,nonsense,-,1.5-2", [(0, 2)]),
    ("bytes=0-1,50-60", [(0, 2)]),
    ("bytes=0-1,-0", [(0, 2)]),
    ("items=0-1", []),
    ("=0-1", []),
]
UNSATISFIABLE = [
    "bytes=50-",
    "bytes=50-60",
    "bytes=60-55",
    "bytes=-0",
    f"bytes={HUGE}-",
    "bytes=50-,-0",
]
MALFORMED = [
    "", "bytes", "0-1", "bytes=", "bytes=-", "bytes=,", "bytes=x-y", "bytes=1", "bytes=0x1-2",
    "bytes=\u0660-\u0663", "bytes=²-³", "bytes=+1-+2", "bytes=1_0-2_0", "bytes=--5", "bytes=-9e99", "bytes=5-2",
    "bytes=0-1,5-2", "bytes=1-2-3",
]  # fmt: skip


@pytest.mark.parametrize(("field", "ranges"), SELECTED)
def test_a_range_selects_bytes(field: str, ranges: list[tuple[int, int]]) -> None:
    assert parse_ranges(field, 50, 100) == ranges


@pytest.mark.parametrize("field", UNSATISFIABLE)
def test_ranges_beyond_the_end_cannot_be_satisfied(field: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_ranges(field, 50, 100)
    assert caught.value.max_size == 50


@pytest.mark.parametrize("field", MALFORMED)
def test_what_is_no_range_is_malformed(field: str) -> None:
    with pytest.raises(MalformedRangeHeader) as caught:
        parse_ranges(field, 50, 100)
    assert caught.value.content


@pytest.mark.parametrize("field", ["bytes=0-", "bytes=-1", "bytes=0-0"])
def test_an_empty_file_has_no_ranges(field: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_ranges(field, 0, 100)


def test_a_field_with_too_many_ranges_is_ignored() -> None:
    ranges = [f"{2 * number}-{2 * number}" for number in range(101)]
    assert parse_ranges("bytes=" + ",".join(ranges), 300, 100) == []
    assert len(parse_ranges("bytes=" + ",".join(ranges[:100]), 300, 100)) == 100


@pytest.mark.parametrize(
    "field",
    ["bytes=" + "0-0," * 2000, "bytes=" + "1" * 65_536, "bytes=" + "-" * 65_536, "bytes=" + " " * 65_536 + "0-1"],
)  # fmt: skip
def test_a_long_field_costs_little(field: str) -> None:
    start = time.thread_time()
    for _ in range(10):
        with suppress(MalformedRangeHeader):
            parse_ranges(field, 50, 100)
    assert time.thread_time() - start < 0.05


def test_the_whole_file_a_hundred_times_is_the_whole_file_once() -> None:
    assert parse_ranges("bytes=" + ",".join(["0-"] * 100), 50, 100) == [(0, 50)]


ranges_strategy = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda pair: (pair[0], sum(pair)))
)


@given(ranges_strategy)
def test_merged_ranges_hold_the_same_bytes_once_and_in_order(ranges: list[tuple[int, int]]) -> None:
    merged = merge_ranges(ranges)
    covered = [position for start, end in merged for position in range(start, end)]
    assert covered == sorted({position for start, end in ranges for position in range(start, end)})
    assert all(end < start for (_, end), (start, _) in pairwise(merged))


@given(
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1), st.integers(0, 100)
)
def test_good_ranges_select_what_they_say(pairs: list[tuple[int, int]], size: int) -> None:
    pairs = [(min(pair), max(pair)) for pair in pairs]
    wanted = {each for first, last in pairs for each in range(first, last + 1) if each < size}
    field = "bytes=" + ",".join(f"{first}-{last}" for first, last in pairs)
    if not wanted:
        with pytest.raises(RangeNotSatisfiable):
            parse_ranges(field, size, 1000)
        return
    selected = parse_ranges(field, size, 1000)
    assert {position for start, end in selected for position in range(start, end)} == wanted


@given(
    st.text(alphabet="bytes=0123456789-, x²\u0663\xa0", max_size=60).map(
        lambda text: "bytes=" + text
    ),
    st.integers(0, 1000),
)
def test_anything_gives_ranges_within_the_file_or_an_answer_of_4xx(field: str, size: int) -> None:
    try:
        selected = parse_ranges(field, size, 100)
    except (MalformedRangeHeader, RangeNotSatisfiable):
        return
    assert all(0 <= start < end <= size for start, end in selected)
    assert selected == merge_ranges(selected)
