from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st
from structlog.contextvars import bind_contextvars, clear_contextvars, get_contextvars

from framework.observability.context import (
    begin_request_context,
    current_request_id,
    find_request_id,
)


@pytest.mark.parametrize(
    "value", [b"a", b"abc-DEF_0.9", b"x" * 128, b"3f2a9c1e-8f1d-4d2e-9d55-1c2b3a4d5e6f"]
)
def test_a_well_formed_id_is_taken(value: bytes) -> None:
    headers = [(b"host", b"x"), (b"x-request-id", value)]
    assert find_request_id(headers) == value.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"x" * 129,
        b"a b",
        b"a\n",
        b"\na",
        b"a\r\nx: y",
        b"a;b",
        b"<a>",
        b"\xff",
        b"a,b",
        b"\xc3\xa9",
    ],
)
def test_an_ill_formed_id_is_replaced(value: bytes) -> None:
    found = find_request_id([(b"x-request-id", value)])
    assert re.fullmatch("[0-9a-f]{32}", found)


def test_of_several_ids_the_first_counts() -> None:
    headers = [(b"x-request-id", b"one"), (b"x-request-id", b"two")]
    assert find_request_id(headers) == "one"


def test_new_ids_differ() -> None:
    assert len({find_request_id([]) for _ in range(1000)}) == 1000


@given(st.binary(max_size=200))
def test_an_id_is_always_safe(value: bytes) -> None:
    found = find_request_id([(b"x-request-id", value)])
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", found)


def test_a_request_begins_with_its_id_and_nothing_else() -> None:
    bind_contextvars(user="ann")
    begin_request_context("abc")

    assert get_contextvars() == {"request_id": "abc"}
    assert current_request_id() == "abc"
    clear_contextvars()
    assert current_request_id() is None
