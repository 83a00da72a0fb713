"""Values of labels for what has none of its own: no label ever comes from a client."""

from __future__ import annotations

from typing import Final

__all__ = ["KNOWN_METHODS", "OTHER_METHOD", "OVERFLOW", "UNMATCHED_ROUTE"]

UNMATCHED_ROUTE: Final = "__unmatched__"
"""The route of requests that no route took."""

OVERFLOW: Final = "__overflow__"
"""The value of each label of the series that label sets beyond the limit share."""

OTHER_METHOD: Final = "OTHER"
"""The method of requests with another one than these."""

# RFC 9110, PATCH (RFC 5789) and QUERY.
KNOWN_METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)
