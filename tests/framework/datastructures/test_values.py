"""Addresses, secrets and lists written as text."""

from __future__ import annotations

import logging
import traceback

import pytest
from hypothesis import given, strategies as st
from starlette import datastructures as starlette

from framework.datastructures import Address, CommaSeparatedStrings, Secret


def test_an_address_is_host_and_port() -> None:
    host, port = address = Address("127.0.0.1", 80)
    assert (address.host, address.port) == (host, port) == ("127.0.0.1", 80)
    assert repr(address) == "Address(host='127.0.0.1', port=80)"


def test_the_text_of_a_secret_is_its_str_and_nothing_else() -> None:
    secret = Secret("hunter2")
    assert str(secret) == "hunter2"
    assert repr(secret) == "Secret('**********')"
    assert bool(secret)
    assert not Secret("")


def test_a_secret_is_in_no_representation_log_record_or_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secret = Secret("hunter2")
    logging.getLogger("test").warning("settings: %r", {"password": secret})
    try:
        _fail(secret)
    except LookupError as exc:
        report = "".join(
            traceback.TracebackException.from_exception(exc, capture_locals=True).format()
        )
    assert "hunter2" not in repr([secret]) + caplog.text + report
    assert "**********" in report
    assert not hasattr(secret, "__dict__")


def _fail(secret: Secret) -> None:
    raise LookupError(f"{secret!r}")


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a, b", ["a", "b"]),
        ("a", ["a"]),
        ("", []),
        ("'a, b', c", ["a, b", "c"]),
        (' "127.0.0.1" , localhost ', ["127.0.0.1", "localhost"]),
        ("a#b, c", ["a#b", "c"]),
        ("#a", ["#a"]),
        (["a", "b"], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
    ],
)
def test_items_are_separated_by_commas(value: str | list[str], items: list[str]) -> None:
    strings = CommaSeparatedStrings(value)
    assert list(strings) == items
    assert len(strings) == len(items)
    assert repr(strings) == f"CommaSeparatedStrings({items!r})"
    assert str(strings) == ", ".join(map(repr, items))


def test_items_are_a_sequence() -> None:
    strings = CommaSeparatedStrings("a, b, c")
    assert strings[0] == "a"
    assert strings[1:] == ["b", "c"]
    assert "b" in strings
    assert strings.index("c") == 2


def test_an_open_quotation_is_refused_and_named() -> None:
    with pytest.raises(ValueError, match=r""""it's" is no comma-separated list: No closing"""):
        CommaSeparatedStrings("it's")


@given(st.text(alphabet="ab ,.'\"-").filter(lambda text: "#" not in text))
def test_reads_as_starlette_reads_but_for_the_hash(value: str) -> None:
    try:
        expected = list(starlette.CommaSeparatedStrings(value))
    except ValueError:
        with pytest.raises(ValueError):
            CommaSeparatedStrings(value)
    else:
        assert list(CommaSeparatedStrings(value)) == expected
