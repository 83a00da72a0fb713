"""Convertors: which texts they match, what these become, and back."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from hypothesis import given, strategies as st

from framework._defaults import MAX_FLOAT_CHARACTERS, MAX_INT_DIGITS
from framework.convertors import (
    CONVERTOR_TYPES,
    Convertor,
    FloatConvertor,
    IntegerConvertor,
    PathConvertor,
    StringConvertor,
    UUIDConvertor,
)

A_UUID = uuid.UUID("8f14e45f-ceea-467f-a0e6-6b3d9c1d2f3a")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("str", "a", "a"),
        ("str", "a b%\n", "a b%\n"),
        ("path", "", ""),
        ("path", "a/b//c", "a/b//c"),
        ("int", "0", 0),
        ("int", "007", 7),
        ("int", "9" * MAX_INT_DIGITS, 10**MAX_INT_DIGITS - 1),
        ("float", "1", 1.0),
        ("float", "1.25", 1.25),
        ("float", "1." + "0" * (MAX_FLOAT_CHARACTERS - 2), 1.0),
        ("uuid", str(A_UUID), A_UUID),
        ("uuid", A_UUID.hex.upper(), A_UUID),
    ],
)
def test_a_text_that_matches_is_converted(kind: str, text: str, value: Any) -> None:
    convertor = CONVERTOR_TYPES[kind]
    assert re.fullmatch(convertor.regex, text)
    assert convertor.convert(text) == value
    assert type(convertor.convert(text)) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("str", ""),
        ("str", "a/b"),
        ("path", "a\nb"),
        ("int", ""),
        ("int", "-1"),
        ("int", "+1"),
        ("int", "1_0"),
        ("int", "٣"),
        ("int", "²"),
        ("int", "1\n"),
        ("float", "1."),
        ("float", ".5"),
        ("float", "1e5"),
        ("float", "nan"),
        ("float", "٣.٣"),
        ("uuid", str(A_UUID)[:-1]),
        ("uuid", "g" + str(A_UUID)[1:]),
        ("uuid", "{" + str(A_UUID) + "}"),
    ],
)
def test_other_texts_do_not_match(kind: str, text: str) -> None:
    assert re.fullmatch(CONVERTOR_TYPES[kind].regex, text) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("int", "1" * (MAX_INT_DIGITS + 1)),
        ("int", "1" * 5000),
        ("float", "1" * (MAX_FLOAT_CHARACTERS + 1)),
        ("float", "1." + "0" * 5000),
    ],
)
def test_a_number_of_too_many_digits_cannot_be_converted(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="at most"):
        CONVERTOR_TYPES[kind].convert(text)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("str", "a b", "a b"),
        ("str", 5, "5"),
        ("path", "/a/b", "/a/b"),
        ("path", "", ""),
        ("int", 7, "7"),
        ("int", "7", "7"),
        ("int", True, "1"),
        ("float", 1, "1"),
        ("float", 100.0, "100"),
        ("float", 0.5, "0.5"),
        ("float", 0.0, "0"),
        ("float", 1e-7, "0.0000001"),
        ("uuid", A_UUID, str(A_UUID)),
    ],
)
def test_a_value_becomes_the_text_of_a_path(kind: str, value: Any, text: str) -> None:
    assert CONVERTOR_TYPES[kind].to_string(value)[: len(text)] == text


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        ("str", "a/b", "'a/b' holds a slash"),
        ("str", "", "must not be empty"),
        ("int", -1, "-1"),
        ("float", -0.5, "-0.5"),
        ("float", float("nan"), "nan"),
        ("float", float("inf"), "inf"),
    ],
)
def test_a_value_that_no_path_can_carry_is_refused_by_name(
    kind: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        CONVERTOR_TYPES[kind].to_string(value)


@given(st.integers(min_value=0, max_value=10**MAX_INT_DIGITS - 1))
def test_a_whole_number_survives_the_way_there_and_back(number: int) -> None:
    convertor = IntegerConvertor()
    text = convertor.to_string(number)
    assert re.fullmatch(convertor.regex, text)
    assert convertor.convert(text) == number


@given(st.floats(min_value=1e-3, max_value=1e15))
def test_a_float_survives_the_way_there_and_back(number: float) -> None:
    convertor = FloatConvertor()
    text = convertor.to_string(number)
    assert re.fullmatch(convertor.regex, text)
    assert convertor.convert(text) == pytest.approx(number, rel=1e-14)


@given(st.uuids())
def test_a_uuid_survives_the_way_there_and_back(value: uuid.UUID) -> None:
    convertor = UUIDConvertor()
    assert convertor.convert(convertor.to_string(value)) == value


@given(st.text())
def test_a_path_survives_the_way_there_and_back(text: str) -> None:
    convertor = PathConvertor()
    assert convertor.convert(convertor.to_string(text)) == text


@given(st.text(min_size=1).filter(lambda text: "/" not in text))
def test_a_segment_survives_the_way_there_and_back(text: str) -> None:
    convertor = StringConvertor()
    assert re.fullmatch(convertor.regex, convertor.to_string(text))
    assert convertor.convert(text) == text


class Unfinished(Convertor[str]):
    regex = "x"


def test_an_unfinished_convertor_says_what_it_lacks() -> None:
    with pytest.raises(TypeError, match=r"Unfinished must define convert\(value\)"):
        Unfinished().convert("x")
    with pytest.raises(TypeError, match=r"Unfinished must define to_string\(value\)"):
        Unfinished().to_string("x")
