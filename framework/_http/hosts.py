"""The `Host` field (RFC 9110 section 7.2, with the grammar of RFC 3986 section 3.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple

_MAX_CACHED_HOSTS: Final = 256
_MAX_PORT: Final = 65535
_MAX_PORT_DIGITS: Final = 5

_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)

# The comma is a sub-delim too, but what has one are two `Host` fields that a proxy joined.
_HOST = re.compile(
    r"""
    (?P<host>
        (?: [a-z0-9\-._~!$&'()*+;=] | %[0-9a-f]{2} )+           # registered name or IPv4 address
      | \[ (?: (?P<ipv6> [0-9a-f:.]+ )
             | (?-i:v) [0-9a-f]+ \. [a-z0-9\-._~!$&'()*+,;=:]+  # a future address family
           ) \]
    )
    (?: : (?P<port> [0-9]* ) )?
    """,
    re.IGNORECASE | re.ASCII | re.VERBOSE,
)


class ParsedHost(NamedTuple):
    """A host with the brackets of an IP literal, its port if given, and both as they stand in a URL.

    Host and authority are as the client wrote them.
    """

    host: str
    port: int | None
    authority: str


# PERF: clients of one service send few different hosts, and matching costs ten times the look-up.
# The result is immutable and depends on the text alone.
@lru_cache(maxsize=_MAX_CACHED_HOSTS)
def find_host(value: str, *, any_port: bool = False) -> ParsedHost | None:
    """Return host and port of a `Host` field value, None when it is malformed.

    Whatever could move the path or the authority of a URL is malformed (slash, backslash, question
    mark, hash, at sign, blank), and so is a port above 65535, but for `any_port`: then it is left out.
    An empty port counts as none.
    """
    match = _HOST.fullmatch(value)
    if match is None:
        return None
    host, ipv6, digits = match.group("host", "ipv6", "port")
    if ipv6 is not None:
        try:
            IPv6Address(ipv6)
        except AddressValueError:
            return None
    if not digits:
        return ParsedHost(host, None, host)
    significant = digits.lstrip("0") or "0"
    if len(significant) > _MAX_PORT_DIGITS or int(significant) > _MAX_PORT:
        return ParsedHost(host, None, host) if any_port else None
    return ParsedHost(host, int(significant), f"{host}:{digits}")


def is_private(host: str) -> bool:
    """Say whether a host is an IP address, a name without a dot or below `localhost`.

    Health checks, containers, tests and developers use those. Nobody can have a certificate for most of
    them, nor point a domain of their own at this server by them (DNS rebinding).
    """
    name = host.lower().removesuffix(".")
    return (
        name.startswith("[")
        or "." not in name
        or name.endswith(".localhost")
        or _IPV4.fullmatch(name) is not None
    )
