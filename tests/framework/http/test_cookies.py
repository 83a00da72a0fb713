"""Writing the values of cookies, held against `http.cookies`."""

from __future__ import annotations

from http.cookies import SimpleCookie

from hypothesis import given, strategies as st

from framework._http.cookies import build_set_cookie, parse_cookies

VALUES = st.text(st.characters(max_codepoint=255)) | st.text('ab"\\;,= \t\r\n\0\x7f\xe9')


def write(value: str) -> str:
    """Return a `Set-Cookie` field that has nothing but name and value."""
    return build_set_cookie(
        "a", value, max_age=None, expires=None, path=None, domain=None, secure=False,
        httponly=False, samesite=None, partitioned=False,
    )  # fmt: skip


@given(VALUES)
def test_a_value_is_quoted_as_by_the_standard_library(value: str) -> None:
    expected = SimpleCookie().value_encode(value)[1] if value else ""
    assert write(value) == f"a={expected}"


@given(VALUES)
def test_a_value_is_read_as_it_was_written(value: str) -> None:
    assert parse_cookies(write(value)) == {"a": value}
