"""Response fields as they go over the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

__all__ = ["build_status_line", "default_fields", "encode_field_line"]

# RFC 9110 section 5.6.2: the characters of a token. Section 5.5: no control but the tab in a value.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

# Fields with few different values, none of them secret.
_REPEATED_NAMES: Final = frozenset(
    {
        b"access-control-allow-credentials",
        b"access-control-allow-origin",
        b"access-control-expose-headers",
        b"cache-control",
        b"content-encoding",
        b"content-language",
        b"content-security-policy",
        b"content-type",
        b"cross-origin-opener-policy",
        b"cross-origin-resource-policy",
        b"permissions-policy",
        b"referrer-policy",
        b"server",
        b"strict-transport-security",
        b"vary",
        b"x-content-type-options",
        b"x-frame-options",
    }
)
_MAX_LINES: Final = 512
_MAX_LINE_VALUE: Final = 256
_lines: Final[dict[tuple[bytes, bytes], bytes]] = {}

_STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %b\r\n" % (status, phrase.encode("ascii"))
    for status, phrase in {
        **dict.fromkeys(range(200, 600), ""),
        **{status.value: status.phrase for status in HTTPStatus if status.value >= 200},
    }.items()
}


def build_status_line(status: int) -> bytes:
    """Return the status line. Raises `ValueError` when `status` is not from 200 to 599.

    What is below 200 is no answer: the client would wait for another one.
    """
    line = _STATUS_LINES.get(status)
    if line is None:
        raise ValueError(f"status {status!r} is not allowed; use a number from 200 to 599")
    return line


# PERF: the same few fields are on nearly every response, so their lines are kept. What has been kept
# was checked; the names are a closed set and the number of lines is bounded.
def encode_field_line(name: bytes, value: bytes) -> bytes:
    """Return `name: value` with its line end, the name in lower case.

    Raises:
        ValueError: the field would break the response apart (CVE-2020-7695).
    """
    field = (name, value)
    line = _lines.get(field)
    if line is None:
        if _NAME.fullmatch(name) is None:
            raise ValueError(
                f"header name {name!r} is not a token; use letters, digits and hyphens"
            )
        if _CONTROL.search(value) is not None:
            raise ValueError(f"the value of header {name!r} has a control character; remove it")
        line = b"%b: %b\r\n" % (name.lower(), value)
        if name in _REPEATED_NAMES and len(_lines) < _MAX_LINES and len(value) < _MAX_LINE_VALUE:
            _lines[field] = line
    return line


class DefaultFields:
    """The lines of the fields that the server puts on every response; made anew once a second."""

    __slots__ = ("_fields", "_lines")

    def __init__(self) -> None:
        self._fields: object = None
        self._lines = b""

    def encode(self, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the lines of `fields`, which uvicorn replaces but never changes."""
        if fields is not self._fields:
            self._lines = b"".join(encode_field_line(name, value) for name, value in fields)
            self._fields = fields
        return self._lines


default_fields: Final = DefaultFields()
"""Of the server of this process."""
