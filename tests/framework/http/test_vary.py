"""`Vary` grows, and says nothing twice."""

from __future__ import annotations

import pytest

from framework._http.vary import add_vary

A = (b"a", b"1")
B = (b"b", b"2")

MERGES = [
    ([], [(b"vary", b"Origin")]),
    ([A], [A, (b"vary", b"Origin")]),
    ([A, (b"vary", b"Cookie"), B], [A, (b"vary", b"Cookie, Origin"), B]),
    ([(b"vary", b"Cookie"), A, (b"vary", b"Accept")], [(b"vary", b"Cookie, Accept, Origin"), A]),
    ([(b"vary", b"Cookie,origin")], [(b"vary", b"Cookie,origin")]),
    ([(b"vary", b"Accept"), (b"vary", b"ORIGIN ")], [(b"vary", b"Accept"), (b"vary", b"ORIGIN ")]),
    ([(b"vary", b"*")], [(b"vary", b"*")]),
    ([(b"vary", b"X-Origin")], [(b"vary", b"X-Origin, Origin")]),
    ([(b"vary", b"")], [(b"vary", b"Origin")]),
]


@pytest.mark.parametrize(("before", "after"), MERGES)
def test_a_name_is_merged(
    before: list[tuple[bytes, bytes]], after: list[tuple[bytes, bytes]]
) -> None:
    fields = list(before)
    add_vary(fields, b"Origin")
    assert fields == after
    add_vary(fields, b"Origin")
    assert fields == after
