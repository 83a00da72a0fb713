"""Who the client is when the connection comes from a proxy: `X-Forwarded-For` and `-Proto`."""

from __future__ import annotations

import functools
import ipaddress
import itertools
from collections.abc import Iterable
from typing import Final

from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["ForwardedMiddleware"]

_MAX_HOPS: Final = 100
_MAX_HOP_CHARACTERS: Final = 64
_MAX_CACHED_HOPS: Final = 1024
_EVERYBODY: Final = "*"
_SCHEMES: Final = {
    b"http": ("http", "ws"),
    b"https": ("https", "wss"),
    b"ws": ("http", "ws"),
    b"wss": ("https", "wss"),
}

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ForwardedMiddleware:
    """Puts the client's address and scheme, as proxies report them, into the scope.

    Each proxy appends the address it was called from. The list is read from its end, as long as the one
    who wrote an entry is trusted: the first address that is not a proxy of ours is the client, and what
    is before it anybody may have written. So is an entry that is no address (`unknown`, a name): the
    client is then the last hop that is known. Repeated fields are one list. The peer on a Unix socket is
    trusted: file permissions decide who that can be. uvicorn's own middleware believes nobody there, and
    takes any text for an address.

    Args:
        app: the application.
        trusted: addresses and networks, separated by commas; `*` is everybody.

    Raises:
        ValueError: one of them is neither.
    """

    def __init__(self, app: ASGIApp, trusted: str | Iterable[str]) -> None:
        self.app = app
        texts = trusted.split(",") if isinstance(trusted, str) else trusted
        entries = [text.strip() for text in texts]
        self._trusts_everybody = _EVERYBODY in entries
        self._networks: list[_Network] = [
            ipaddress.ip_network(entry) for entry in entries if entry not in {"", _EVERYBODY}
        ]
        # PERF: proxies are few and ask with each request: 3 µs less for each hop.
        self._find_hop = functools.lru_cache(_MAX_CACHED_HOPS)(self._look_at)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan" and self._is_from_proxy(scope):
            self._rewrite(scope)
        await self.app(scope, receive, send)

    def _is_from_proxy(self, scope: Scope) -> bool:
        server, client = scope.get("server"), scope.get("client")
        if client is not None:
            hop = self._find_hop(client[0])
            return self._trusts_everybody or (hop is not None and hop[2])
        # A server without a port listens on a Unix socket. A client that was gone before anybody asked
        # for its address has none, too.
        return server is not None and server[1] is None

    def _rewrite(self, scope: Scope) -> None:
        chains: list[bytes] = []
        scheme = b""
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                chains.append(value)
            elif name == b"x-forwarded-proto":
                scheme = value.rpartition(b",")[2].strip().lower()
        if scheme in _SCHEMES:
            scope["scheme"] = _SCHEMES[scheme][scope["type"] == "websocket"]
        client = None
        hops = reversed(b",".join(chains).decode("latin-1").split(","))
        for text in itertools.islice(hops, _MAX_HOPS):
            hop = self._find_hop(text) if len(text) <= _MAX_HOP_CHARACTERS else None
            if hop is None:
                break
            host, port, is_trusted = hop
            client = (host, port)
            if not is_trusted:
                break
        if client is not None:
            scope["client"] = client

    def _look_at(self, text: str) -> tuple[str, int, bool] | None:
        """Return host, port (0 when there is none) and whether that is a proxy; None for no address."""
        try:
            address, port = _parse_hop(text.strip())
        except ValueError:
            return None
        is_trusted = self._trusts_everybody or any(address in net for net in self._networks)
        return str(address), port, is_trusted


def _parse_hop(text: str) -> tuple[_Address, int]:
    host, port = text, "0"
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and rest[0] != ":"):
            raise ValueError(text)
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise ValueError(text)
    address = ipaddress.ip_address(host)
    # "::ffff:10.0.0.1": how a socket for both families shows an IPv4 peer.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address, int(port)
