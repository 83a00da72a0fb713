"""The codings themselves: whatever goes in comes out, however it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from framework.middleware._codings import CODINGS, MISSING
from tests.framework.middleware.compressing import DECODERS, TEXT, decode_pieces


def test_all_of_them_are_there() -> None:
    """The locks of the project hold the packages, so nothing may be missing where it is tested."""
    assert list(CODINGS) == ["zstd", "br", "gzip"]
    assert frozenset() == MISSING


@pytest.mark.parametrize("name", CODINGS)
def test_every_level_works(name: str) -> None:
    for level in CODINGS[name].levels:
        coding = CODINGS[name](level)
        assert DECODERS[name](coding.compress(TEXT)) == TEXT
        stream = coding.start()
        pieces = decode_pieces(name, [stream(TEXT, False), stream(TEXT, True)])
        assert pieces == [TEXT, TEXT]


@pytest.mark.parametrize("name", CODINGS)
@given(chunks=st.lists(st.binary(max_size=200)), body=st.binary(max_size=200))
def test_a_body_comes_back_however_it_is_cut(name: str, chunks: list[bytes], body: bytes) -> None:
    coding = CODINGS[name](coding_level(name))
    assert DECODERS[name](coding.compress(body)) == body
    stream = coding.start()
    compressed = b"".join([*(stream(chunk, False) for chunk in chunks), stream(b"", True)])
    assert DECODERS[name](compressed) == b"".join(chunks)


def coding_level(name: str) -> int:
    """Return a level that is quick."""
    return CODINGS[name].levels[2]
