"""Answers to what is no acceptable HTTP request: a status, one line of text, and the end."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from framework.observability._access import access_lines
from framework.observability.metrics import UNMATCHED_ROUTE, Counter

__all__ = ["Refusal", "RefusedError", "record_refusal"]

_refused = Counter(
    "http_refused_requests_total",
    "Requests that the server refused without asking the application.",
    ("status",),
)


class Refusal:
    """An answer that is sent without asking the application; the connection ends with it.

    Args:
        status: the status code.
        reason: what is wrong, for the client and for the log. It never quotes the client.
    """

    __slots__ = ("_begin", "_end", "reason", "size", "status")

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        self.reason = reason
        body = f"{reason}\n".encode("ascii")
        self.size = len(body)
        self._begin = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode("ascii"))
        self._end = (
            b"content-type: text/plain; charset=utf-8\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
        )

    def build(self, default_lines: bytes) -> bytes:
        """Return the response, with the fields that every response of the server has."""
        return self._begin + default_lines + self._end


class RefusedError(Exception):
    """Ends the parsing of a request; raised in a callback of the parser."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def record_refusal(
    refusal: Refusal, client: tuple[str, int] | None, method: str | None, path: str | None
) -> None:
    """Count a refusal and write the access line of the request, which no application has seen.

    Args:
        refusal: the answer.
        client: address and port, where they are known.
        method: of the request, as far as it was understood.
        path: of the request, as far as it was understood.
    """
    _refused.labels(refusal.status).inc()
    access_lines.write_refusal(
        method=method,
        path=path,
        route=UNMATCHED_ROUTE,
        status=refusal.status,
        sent_bytes=refusal.size,
        client=client[0] if client else None,
        reason=refusal.reason,
    )


BAD_REQUEST: Final = Refusal(400, "This is not a valid HTTP/1.1 request.")
BAD_FRAMES: Final = Refusal(400, "This is not valid HTTP/2, or too much of it.")
BAD_REQUEST_LINE: Final = Refusal(400, "The request line is malformed.")
BAD_TARGET: Final = Refusal(400, "The request target must be a path.")
OTHER_AUTHORITY: Final = Refusal(400, "The request target names another host than the Host field.")
BAD_HOST: Final = Refusal(400, "A request needs exactly one valid Host field.")
REPEATED_FIELD: Final = Refusal(400, "A field that may be sent once was repeated.")
BAD_UPGRADE: Final = Refusal(400, "This request cannot become a WebSocket.")
CHUNKED_IN_1_0: Final = Refusal(400, "HTTP/1.0 has no Transfer-Encoding.")
LONG_CHUNK_EXTENSION: Final = Refusal(400, "The chunk extensions are too long.")
PIPELINE_FULL: Final = Refusal(400, "Too many requests wait on this connection.")
SLOW_HEADER: Final = Refusal(408, "The header of the request took too long.")
SLOW_BODY: Final = Refusal(408, "The body of the request came too slowly.")
LONG_TARGET: Final = Refusal(414, "The request target is too long.")
LONG_FIELD: Final = Refusal(431, "A header field is too long.")
MANY_FIELDS: Final = Refusal(431, "There are too many header fields.")
LARGE_HEADER: Final = Refusal(431, "The header fields are too large together.")
UNKNOWN_CODING: Final = Refusal(501, "The only transfer coding understood is chunked.")
UNKNOWN_VERSION: Final = Refusal(505, "The HTTP version must be 1.1 or 1.0.")
