"""Every limit and deadline of the HTTP protocol, with its unit."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HttpLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What a client may send, and how long it may take. Deadlines are kept to the second."""

    request_line: int = 8190
    """Bytes of the request line; more is answered with 414 (RFC 9110 section 15.5.15)."""

    header_count: int = 100
    """Header fields of a request; more is answered with 431 (RFC 6585 section 5), like the next two."""

    header_field: int = 8190
    """Bytes of one header field, name and value."""

    header_section: int = 65536
    """Bytes of all header fields of a request."""

    chunk_overhead: int = 4096
    """Bytes of chunk extensions and trailers that may come at once (RFC 9112 section 7.1); more is a 400."""

    pipelined_requests: int = 32
    """Requests that may wait for the answers to those before them on a connection; more is a 400."""

    discarded_body: int = 1024 * 1024
    """Bytes of a body that nobody wants which are still read, so that the client sees its answer."""

    first_byte_seconds: int = 15
    """From the connection to the first byte of its first request; then it is closed."""

    header_seconds: int = 10
    """From the first byte of a request to the end of its header; then it is answered with 408."""

    body_grace_seconds: int = 10
    """How long a body may come slower than `body_rate`; then it is answered with 408."""

    body_rate: int = 240
    """Bytes a second that a body must have on average after that, while the application reads it."""

    stalled_seconds: int = 20
    """How long a client may take less than `read_rate` of what is ready for it; then it is cut off."""

    read_rate: int = 240
    """Bytes a second that a client must take while something is ready; seen in steps of up to 60 KB."""

    linger_seconds: int = 2
    """How long what still comes is thrown away after the last answer on a connection."""
