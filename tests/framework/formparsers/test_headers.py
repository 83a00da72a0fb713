"""Header fields of forms are read as python-multipart reads them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from python_multipart import multipart

from framework.formparsers import MultiPartException
from framework.formparsers._headers import find_boundary, read_disposition

library: Any = multipart

PIECES = st.sampled_from(
    [
        "form-data",
        "; ",
        ";",
        'name="',
        "filename=",
        'filename="',
        '"',
        "a",
        "\\",
        "=",
        " ",
        "*",
        "é",
    ]
)
USUAL = st.tuples(st.text("ab;=' \\é*", max_size=5), st.text("ab;=' \\é*:", max_size=5))


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_disposition_is_read_as_by_the_library(value: str) -> None:
    compare_disposition(value)


@given(USUAL)
def test_the_usual_disposition_is_read_as_by_the_library(names: tuple[str, str]) -> None:
    compare_disposition('form-data; name="{}"'.format(*names))
    compare_disposition('form-data; name="{}"; filename="{}"'.format(*names))


def compare_disposition(value: str) -> None:
    _, options = library.parse_options_header(value.encode("latin-1"))
    if b"name" in options:
        expected = options[b"name"], options.get(b"filename")
        assert read_disposition(library, value.encode("latin-1")) == expected
    else:
        with pytest.raises(MultiPartException):
            read_disposition(library, value.encode("latin-1"))


@given(st.text("ab-'()+_,./:=? \";", min_size=1, max_size=12))
def test_a_boundary_is_read_as_by_the_library(boundary: str) -> None:
    content_type = f"multipart/form-data; boundary={boundary}"
    _, options = library.parse_options_header(content_type)
    if options.get(b"boundary"):
        assert find_boundary(library, content_type) == (options[b"boundary"], "utf-8")
    else:
        with pytest.raises(MultiPartException, match="Missing boundary"):
            find_boundary(library, content_type)


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UTF-8", "utf-8"),
        ('"utf-8"', "utf-8"),
        ("us-ascii", "utf-8"),
        ("ISO-8859-1", "latin-1"),
        ("latin-1", "latin-1"),
    ],
)
def test_the_charset_is_utf_8_or_latin_1(charset: str, codec: str) -> None:
    content_type = f"multipart/form-data; boundary=x; charset={charset}"
    assert find_boundary(library, content_type) == (b"x", codec)


def test_a_boundary_holds_no_control_characters() -> None:
    with pytest.raises(MultiPartException, match="control character"):
        find_boundary(library, 'multipart/form-data; boundary="a\rb"')
