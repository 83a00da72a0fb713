"""What a rate limit counts by: a key is a text, requests with the same one share a limit."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final

from framework.types import Scope

__all__ = ["KeyFunction", "client_key", "route_key", "user_key"]

# None: the limit does not count this request.
KeyFunction = Callable[[Scope], str | None]

_MAX_CACHED_NETWORKS: Final = 1024
_NETWORK_BYTES: Final = 8


def client_key(scope: Scope) -> str:
    """Return the address of the client; of an IPv6 address the /64, as one subscriber has all of it.

    It is the address in the scope: behind a proxy that of the proxy, unless the server is told to trust
    what the proxy says (`FORWARDED_ALLOW_IPS`). Clients without an address share one key.
    """
    client = scope.get("client")
    host: str = client[0] if client else ""
    return f"client:{_find_network(host) if ':' in host else host}"


def user_key(scope: Scope) -> str:
    """Return the user that the authentication middleware has found; the client's key without one."""
    user: Any = scope.get("user")
    if user is None or not user.is_authenticated:
        return client_key(scope)
    try:
        return f"user:{user.identity}"
    except (AttributeError, NotImplementedError):  # what `SimpleUser` has is the name
        return f"user:{user.display_name}"


def route_key(scope: Scope) -> str:
    """Return the same key for everybody: all requests of a route together. For use on a route.

    Raises:
        RuntimeError: no route has been found yet.
    """
    if "route" not in scope:
        raise RuntimeError(
            "route_key is for middleware of a route or a mount: "
            "Route(..., middleware=[Middleware(RateLimitMiddleware, ...)])"
        )
    return "route"


@lru_cache(maxsize=_MAX_CACHED_NETWORKS)
def _find_network(host: str) -> str:
    try:
        address = IPv6Address(host)
    except AddressValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(address.packed[:_NETWORK_BYTES].ljust(16, bytes(1)))}/64"
