"""What is checked in the header of a request beyond its grammar."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from framework._http.hosts import find_host
from framework.server.http import refusals
from framework.server.http.refusals import RefusedError
from framework.types import Receive, Scope, Send

__all__ = [
    "HTTP_1_0",
    "LINE_ENDS",
    "UPGRADE_FIELDS",
    "WATCHED_FIELDS",
    "answer_server_options",
    "build_head",
    "check_field",
    "check_host",
    "check_line",
    "split_target",
]

HTTP_1_0: Final = "1.0"
LINE_ENDS: Final = {"1.1": b" HTTP/1.1\r\n", HTTP_1_0: b" HTTP/1.0\r\n"}
"""The ends of request lines of the versions that are served."""

WATCHED_FIELDS: Final = frozenset(
    {
        b"content-length",
        b"content-type",
        b"expect",
        b"host",
        b"transfer-encoding",
        b"upgrade",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    }
)
"""Fields that mean something to the protocol itself."""

UPGRADE_FIELDS: Final = frozenset({b"connection", b"http2-settings", b"upgrade"})
"""Fields that ask for another protocol on the connection."""

_SINGLE: Final = frozenset({b"host", b"content-type"})
_SCHEMES: Final = (b"http://", b"https://")


def check_field(name: bytes, value: bytes, seen: dict[bytes, bytes]) -> None:
    """Check one of the watched fields. Raises `RefusedError` when the request cannot be served.

    Args:
        name: in lower case.
        value: as the client sent it.
        seen: the watched fields before it.
    """
    if name in _SINGLE and name in seen:
        raise RefusedError(refusals.BAD_HOST if name == b"host" else refusals.REPEATED_FIELD)
    if name == b"transfer-encoding" and value.lower() != b"chunked":
        raise RefusedError(refusals.UNKNOWN_CODING)


def check_host(value: bytes | None, version: str) -> None:
    """Check that there is one `Host` (RFC 9112 section 3.2) that cannot move a URL's authority.

    In HTTP/1.0 there need not be one. In HTTP/2 it is the authority of the request.
    """
    if value is None:
        if version != HTTP_1_0:
            raise RefusedError(refusals.BAD_HOST)
    elif value and find_host(value.decode("latin-1")) is None:
        raise RefusedError(refusals.BAD_HOST)


def split_target(method: bytes, target: bytes, host: bytes | None) -> tuple[str, bytes, bytes]:
    """Return the decoded path, the path as it was sent, and the query.

    Of the forms of RFC 9112 section 3.2 a server that is no proxy takes the origin form, `*` for
    OPTIONS, and the absolute form when it names the host of the `Host` field.

    Raises:
        RefusedError: it is in another form.
    """
    if method == b"CONNECT":
        raise RefusedError(refusals.BAD_TARGET)
    if target[:1] != b"/":
        if target == b"*" and method == b"OPTIONS":
            return "*", b"*", b""
        target = _cut_authority(target, host)
    raw_path, _, query = target.partition(b"?")
    if b"#" in target:
        # Fragments are for browsers; uvicorn cuts them off, too.
        raw_path, query = raw_path.partition(b"#")[0], query.partition(b"#")[0]
        if b"#" in target.partition(b"?")[0]:
            query = b""
    path = raw_path.decode("ascii")
    if "%" in path:
        path = unquote(path)
    return path, raw_path, query


def _cut_authority(target: bytes, host: bytes | None) -> bytes:
    for scheme in _SCHEMES:
        if target[: len(scheme)].lower() == scheme:
            rest = target[len(scheme) :]
            end = min((i for i in (rest.find(b"/"), rest.find(b"?")) if i >= 0), default=len(rest))
            if not end:
                # RFC 9110 section 4.2.1: without a host it is no such URI.
                raise RefusedError(refusals.BAD_TARGET)
            if host is None or rest[:end].lower() != host.lower():
                raise RefusedError(refusals.OTHER_AUTHORITY)
            path = rest[end:]
            return path if path[:1] == b"/" else b"/" + path
    raise RefusedError(refusals.BAD_TARGET)


def check_line(line: bytes, raw: bytes, *, begins: bool) -> None:
    """Check that a request line came as it should, with one space between its parts.

    An empty line before it is allowed (RFC 9112 section 2.2).

    Args:
        line: the line as it must be.
        raw: what was received, from before the line on.
        begins: whether nothing but the request is in `raw`.

    Raises:
        RefusedError: it came in another form.
    """
    is_right = raw.startswith((line, b"\r\n" + line)) if begins else line in raw
    if not is_right:
        raise RefusedError(refusals.BAD_REQUEST_LINE)


def build_head(
    method: bytes,
    target: bytes,
    fields: Iterable[tuple[bytes, bytes]],
    *,
    without: frozenset[bytes] = frozenset(),
    added: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """Return the header of a request as bytes, without some of its fields, with others."""
    kept = [field for field in fields if field[0] not in without]
    lines = [method, b" ", target, LINE_ENDS["1.1"]]
    for name, value in (*kept, *added):
        lines += (name, b": ", value, b"\r\n")
    return b"".join([*lines, b"\r\n"])


async def answer_server_options(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `OPTIONS *`, which asks about the server and no resource (RFC 9110 section 9.3.7)."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})
