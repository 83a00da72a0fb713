"""Query strings (RFC 3986 section 3.4, as browsers write forms into them)."""

from __future__ import annotations

import re
from urllib.parse import unquote, unquote_to_bytes

from framework._http.paths import escape

# What cannot stand in the query of a URL: it would end it, or parsers throw it away.
_UNQUOTED = re.compile(r"[^\x20-\x22\x24-\x7e]")


def parse_query(query: str) -> list[tuple[str, str]]:
    """Return names and values in order, blank values included; never raises.

    `+` is a blank, `%` escapes are UTF-8 with U+FFFD for what is not.

    PERF: saves most of `urllib.parse.parse_qsl`: without escapes, which is the usual case, splitting
    is all there is. `tests/framework/http/test_queries.py` holds both against each other.
    """
    if "+" in query:
        query = query.replace("+", " ")
    if "%" not in query:
        return [field.partition("=")[::2] for field in query.split("&") if field]
    pairs = []
    for field in query.split("&"):
        if field:
            name, _, value = field.partition("=")
            pairs.append((_unquote(name), _unquote(value)))
    return pairs


def _unquote(text: str) -> str:
    if "%" not in text:
        return text
    if text.isascii():
        return unquote_to_bytes(text).decode("utf-8", "replace")
    return unquote(text)


def quote_query(query: bytes) -> str:
    """Return the query string of a request as the query of a URL; what is ASCII stays as it is."""
    return _UNQUOTED.sub(escape, query.decode("latin-1"))
