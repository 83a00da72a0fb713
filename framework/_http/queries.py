"""Query strings (RFC 3986 section 3.4, as browsers write forms into them)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from framework._http.paths import escape

# What cannot stand in the query of a URL: it would end it, or parsers throw it away.
_UNQUOTED = re.compile(r"[^\x20-\x22\x24-\x7e]")

# The two digits of an escape -> its byte, as the character of latin-1.
_HEX: Final = "0123456789abcdefABCDEF"
_ESCAPES: Final = {high + low: chr(int(high + low, 16)) for high in _HEX for low in _HEX}


def parse_query(query: str) -> list[tuple[str, str]]:
    """Return names and values in order, blank values included; never raises.

    `+` is a blank, `%` escapes are UTF-8 with U+FFFD for what is not.

    PERF: saves most of `urllib.parse.parse_qsl`: without escapes, which is the usual case, splitting
    is all there is. `tests/framework/http/test_queries.py` holds both against each other.
    """
    if "+" in query:
        query = query.replace("+", " ")
    fields = [field.partition("=") for field in query.split("&") if field]
    if "%" not in query:
        return [(name, value) for name, _, value in fields]
    return [
        (
            _unquote(name) if "%" in name else name,
            _unquote(value) if "%" in value else value,
        )
        for name, _, value in fields
    ]


def _unquote(text: str) -> str:
    if not text.isascii():
        return unquote(text)
    first, *rest = text.split("%")
    pieces = [first]
    for piece in rest:
        character = _ESCAPES.get(piece[:2])
        pieces += ("%", piece) if character is None else (character, piece[2:])
    text = "".join(pieces)
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "replace")


def quote_query(query: bytes) -> str:
    """Return the query string of a request as the query of a URL; what is ASCII stays as it is."""
    return _UNQUOTED.sub(escape, query.decode("latin-1"))
