"""Status constants say what their names say."""

from __future__ import annotations

import http
import re

import pytest

from framework import status


@pytest.mark.parametrize("name", status.__all__)
def test_a_constant_has_the_number_in_its_name(name: str) -> None:
    number = re.fullmatch(r"(?:HTTP|WS)_(\d+)_[A-Z_]+", name)
    assert number is not None
    assert getattr(status, name) == int(number[1])


def test_every_status_of_the_standard_library_has_a_constant() -> None:
    values = {getattr(status, name) for name in status.__all__ if name.startswith("HTTP_")}
    assert {code.value for code in http.HTTPStatus} <= values


@pytest.mark.parametrize(
    ("name", "older"),
    [
        ("HTTP_413_CONTENT_TOO_LARGE", "HTTP_413_REQUEST_ENTITY_TOO_LARGE"),
        ("HTTP_414_URI_TOO_LONG", "HTTP_414_REQUEST_URI_TOO_LONG"),
        ("HTTP_416_RANGE_NOT_SATISFIABLE", "HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE"),
        ("HTTP_422_UNPROCESSABLE_CONTENT", "HTTP_422_UNPROCESSABLE_ENTITY"),
    ],
)
def test_older_names_of_rfc_7231_still_work(name: str, older: str) -> None:
    assert getattr(status, name) == getattr(status, older)
