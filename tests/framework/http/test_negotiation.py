"""The choice of a coding by `Accept-Encoding` (RFC 9110 section 12.5.3)."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from framework._defaults import MAX_ACCEPT_ENCODING_CHARACTERS
from framework._http.negotiation import choose_coding

OFFERED = ("zstd", "br", "gzip")

# Each row: the field, the coding, whether the body may go out as it is.
CHOICES = [
    ("", None, True),
    ("gzip", "gzip", True),
    ("GZip", "gzip", True),
    ("x-gzip", "gzip", True),
    ("gzip, deflate, br, zstd", "zstd", True),
    ("gzip, deflate, br", "br", True),
    ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", "gzip", True),
    ("br;q=0.5, gzip;q=0.5", "br", True),
    ("gzip;q=0.001, br;q=0.002", "br", True),
    ("gzip;q=0", None, True),
    ("gzip;q=0.000", None, True),
    ("gzip;q=0, br", "br", True),
    ("deflate, compress", None, True),
    ("gzipped", None, True),
    ("*", "zstd", True),
    ("*;q=0.1, gzip;q=0.5", "gzip", True),
    ("*, zstd;q=0", "br", True),
    ("*;q=0", None, False),
    ("*;q=0, gzip", "gzip", False),
    ("*;q=0, identity", None, True),
    ("identity", None, True),
    ("identity;q=0", None, False),
    ("identity;q=0, gzip;q=0.2", "gzip", False),
    ("identity, gzip;q=0.5", None, True),
    ("identity;q=0.5, gzip;q=0.5", "gzip", True),
    ("identity;q=0.2, gzip", "gzip", True),
    ("  gzip ; Q=0.7 ,, ,", "gzip", True),
    ("gzip;q=0, gzip", None, True),
    ("gzip;q=1.5", None, True),
    ("gzip;q=-1", None, True),
    ("gzip;q=nan", None, True),
    ("gzip;q=", None, True),
    ("gzip;level=9", None, True),
    ("gzip;q=\uff10.5", None, True),
    ("gzip;bad, *", "zstd", True),
    ("identity;q=bad", None, True),
    ("*;q=bad", None, True),
    (";q=1", None, True),
    ("gzip\x00", None, True),
]


@pytest.mark.parametrize(("field", "coding", "allows_identity"), CHOICES)
def test_the_best_weight_wins_and_ties_go_to_the_server(
    field: str, coding: str | None, allows_identity: bool
) -> None:
    assert choose_coding(field, OFFERED) == (coding, allows_identity)


def test_only_what_is_offered_is_chosen() -> None:
    assert choose_coding("br, zstd, gzip;q=0.1", ("gzip",)).coding == "gzip"
    assert choose_coding("br, zstd", ("gzip",)).coding is None
    assert choose_coding("*", ()).coding is None


def test_a_field_that_is_too_long_counts_as_none() -> None:
    longest = "gzip" + "," * (MAX_ACCEPT_ENCODING_CHARACTERS - 4)
    assert choose_coding(longest, OFFERED).coding == "gzip"
    assert choose_coding(longest + ",", OFFERED) == (None, True)


@given(st.text(max_size=40) | st.text(alphabet="gzipbrq*=0.1;, \t", max_size=40))
def test_every_text_has_an_answer(field: str) -> None:
    assert choose_coding(field, OFFERED).coding in {None, *OFFERED}
