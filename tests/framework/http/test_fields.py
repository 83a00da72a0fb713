"""Field names and values are checked on their way into a message."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from framework._http.fields import (
    FIELD_KEYS,
    encode_field,
    encode_field_name,
    encode_field_value,
)

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CONTROLS = [chr(code) for code in [*range(0x20), 0x7F] if code != 0x09]


def test_a_field_has_its_name_in_lower_case_and_its_value_as_it_is() -> None:
    assert encode_field("X-Request-ID", "Abc \t 1") == (b"x-request-id", b"Abc \t 1")


def test_every_token_character_may_stand_in_a_name() -> None:
    assert encode_field_name(TOKEN) == TOKEN.lower().encode()


@pytest.mark.parametrize(
    "character", [*CONTROLS, "\t", " ", ":", '"', "(", "/", "@", "é", "\u212a"]
)
def test_a_name_that_is_no_token_is_refused_and_named(character: str) -> None:
    name = f"x{character}y"
    with pytest.raises(ValueError, match="not a token") as raised:
        encode_field_name(name)
    assert repr(name) in str(raised.value)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(ValueError, match="''"):
        encode_field_name("")


@pytest.mark.parametrize("character", CONTROLS)
def test_a_control_character_in_a_value_is_refused_and_named(character: str) -> None:
    value = f"a{character}Set-Cookie: x=1"
    with pytest.raises(ValueError, match="control character") as raised:
        encode_field_value(value)
    assert repr(value) in str(raised.value)


def test_a_control_character_at_the_end_of_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="control character"):
        encode_field_value("value\n")


def test_latin_1_and_tab_may_stand_in_a_value() -> None:
    assert encode_field_value("caf\xe9\t\xa0\x80\xff") == b"caf\xe9\t\xa0\x80\xff"


def test_a_value_beyond_latin_1_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"'→' is not latin-1: percent-encode it"):
        encode_field_value("→")


@pytest.mark.parametrize("value", [5, None, b"bytes", 1.5])
def test_a_value_that_is_not_text_is_refused_with_the_remedy(value: object) -> None:
    with pytest.raises(TypeError, match=r"pass str\(...\) of it"):
        encode_field_value(value)


def test_a_name_that_is_not_text_is_refused() -> None:
    with pytest.raises(TypeError, match="b'x-name'"):
        encode_field_name(b"x-name")


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_is_accepted_cannot_end_a_field_line(name: str, value: str) -> None:
    try:
        encoded = encode_field(name, value)
    except ValueError:
        return
    assert not set(b"\r\n\0") & set(b"".join(encoded))
    assert not set(b" \t:") & set(encoded[0])


def test_lookup_keys_of_clients_cannot_fill_memory() -> None:
    before = len(FIELD_KEYS)
    for number in range(5000):
        assert FIELD_KEYS[f"X-{number}"] == f"x-{number}".encode()
    assert FIELD_KEYS["X" * 100_000] == b"x" * 100_000
    assert max(before, 1024) >= len(FIELD_KEYS)
    assert all(len(name) <= 64 for name in FIELD_KEYS)
