"""Paths: of the route below a mount, and of URLs (RFC 3986 section 3.3)."""

from __future__ import annotations

import re
from urllib.parse import quote

from framework.types import Scope

# Control characters (URL parsers and browsers throw tab and line ends away, so that `/<tab>/host`
# becomes `//host`) and the backslash, which browsers read as a slash.
_MISREAD = re.compile(r"[\x00-\x1f\x7f\\]")
# The same, and what ends a path or starts an escape.
_UNQUOTED = re.compile(r"[\x00-\x1f\x7f\\?#%]")


def get_route_path(scope: Scope) -> str:
    """Return the path below `root_path`; the whole path when it does not lie below it.

    The prefix ends at a segment boundary: `/products` does not lie below `/product`.
    """
    path: str = scope["path"]
    root_path: str = scope.get("root_path", "")
    if not root_path or not path.startswith(root_path):
        return path
    rest = path[len(root_path) :]
    return rest if not rest or rest[0] == "/" else path


def build_location(path: str, scope: Scope) -> str:
    """Return a decoded path on this server, with the query of the request, for `Location`.

    It has no scheme and no host, so a forged `Host` cannot appear in it, and `//` never starts it, as
    that would name another host (RFC 3986 section 4.2).
    """
    root_path = scope.get("root_path", "")
    if root_path and get_route_path(scope) == scope["path"]:
        # A proxy took the prefix away: the client needs it.
        path = root_path.rstrip("/") + path
    path = "/" + path.lstrip("/")
    # What the server could not decode goes back as the bytes it was.
    location = quote(path, safe="/:@!$&'()*+,;=~", errors="surrogateescape")
    query: bytes = scope.get("query_string", b"")
    return f"{location}?{query.decode('latin-1')}" if query else location


def quote_path(path: str) -> str:
    """Return the decoded path of a request as the path of a URL.

    Only what would be read as something else is escaped, so unquoting gives the path back and most
    paths stay as they are. A URL has no path without a leading slash: `*` becomes `/*`.
    """
    path = _UNQUOTED.sub(escape, path)
    if path and path[0] != "/":
        return "/" + path
    return escape_leading_slashes(path)


def escape_misread(path: str) -> str:
    """Return a path of a URL without anything that browsers read as an authority."""
    return escape_leading_slashes(_MISREAD.sub(escape, path))


def escape_leading_slashes(path: str) -> str:
    """Return the path with a leading `//`, which would start an authority, as `/%2F`."""
    return "/%2F" + path[2:] if path.startswith("//") else path


def escape(match: re.Match[str]) -> str:
    """Return the matched character, one of latin-1, percent-encoded."""
    return f"%{ord(match[0]):02X}"
