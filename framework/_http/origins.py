"""Where a request comes from: `Origin`, `Referer` and `Sec-Fetch-Site`."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from framework._http.hosts import find_host

_ORIGIN: Final = re.compile(r"([a-z][a-z0-9+.\-]*)://([^/?#]+)", re.IGNORECASE | re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

# What `Sec-Fetch-Site` says of requests that no other origin has caused; `none` is the user himself.
_OWN_SITES: Final = ("same-origin", "none")


class Origin(NamedTuple):
    """Scheme, host in lower case and port of an origin (RFC 6454)."""

    scheme: str
    host: str
    port: int | None


def find_origin(text: str) -> Origin | None:
    """Return the origin that a field value names, None for anything else (`null`, a path behind it)."""
    match = _ORIGIN.fullmatch(text)
    return None if match is None else _build_origin(match[1].lower(), match[2])


def parse_origins(name: str, texts: Collection[str]) -> frozenset[Origin]:
    """Return the origins that a setting lists; `name` is what it is called.

    Raises:
        ValueError: one of them is no origin.
        TypeError: one text instead of a list.
    """
    if isinstance(texts, str):
        raise TypeError(f"{name}={texts!r} is one text; pass a list such as {[texts]!r}")
    return frozenset(_parse_origin(text) for text in texts)


def _parse_origin(text: str) -> Origin:
    origin = find_origin(text)
    if origin is None or "*" in text:
        raise ValueError(
            f"trusted origin {text!r} is none: write scheme and host, such as https://example.com, "
            "each host by its name and nothing behind it"
        )
    return origin


def _build_origin(scheme: str, authority: str) -> Origin | None:
    host = find_host(authority)
    if host is None:
        return None
    port = _DEFAULT_PORTS.get(scheme) if host.port is None else host.port
    return Origin(scheme, host.host.lower(), port)


def is_from_own_origin(
    headers: Iterable[tuple[bytes, bytes]], trusted: Collection[Origin | None] = ()
) -> bool:
    """Say whether a request was caused by a page of the host it was sent to, or by no page at all.

    `Sec-Fetch-Site` decides where it is sent, else `Origin`, else `Referer`; a request with none of them
    is not from a browser. A field that comes twice is one that names nothing. The scheme is not
    compared: a proxy may have taken TLS away.

    Args:
        trusted: origins that may cause requests too.
    """
    site = origin = referer = host = ""
    for name, value in headers:
        if name == b"sec-fetch-site":
            site = _join(site, value)
        elif name == b"origin":
            origin = _join(origin, value)
        elif name == b"referer":
            referer = _join(referer, value)
        elif name == b"host":
            host = _join(host, value)
    if site in _OWN_SITES:
        return True
    sender: Origin | None
    if origin:
        sender = find_origin(origin)
    elif site or referer:
        match = _ORIGIN.match(referer)
        sender = None if match is None else find_origin(match[0])
    else:
        return True
    if sender is None:
        return False
    return sender in trusted or (not site and sender == _build_origin(sender.scheme, host))


def _join(present: str, value: bytes) -> str:
    # A comma is neither a site nor an origin nor a host.
    return "," if present else value.decode("latin-1")
