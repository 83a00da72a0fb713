"""`TrustedHostMiddleware`: only requests for hosts of this service."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Final

from framework._http.hosts import find_host, is_private
from framework.datastructures import URL
from framework.middleware._host import answer, find_request_host, refuse_host
from framework.middleware._text_lists import read_texts
from framework.responses import RedirectResponse
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["ENFORCE_DOMAIN_WILDCARD", "TrustedHostMiddleware"]

ENFORCE_DOMAIN_WILDCARD: Final = "Domain wildcard patterns must be like '*.example.com'."

# What may stand in front of a wildcard's domain: names in the sense of DNS, not all that a URL allows.
_SUBDOMAINS = re.compile(r"[a-z0-9_\-]+(?:\.[a-z0-9_\-]+)*", re.ASCII)

# Of so many hosts each process says once that they are refused; a scanner tries very many.
_MAX_NAMED_HOSTS: Final = 10

_logger = logging.getLogger(__name__)


class TrustedHostMiddleware:
    """Answer requests for unknown hosts with 400, so that no link or cache entry is made of them.

    So are requests with a missing or malformed `Host`, or with two of them. Case and port do not count,
    and the text forms of an IPv6 address are one. A WebSocket handshake is refused likewise. The first
    hosts that are refused are named in the log, once each.

    Args:
        allowed_hosts: hosts without port, IPv6 addresses in brackets; `*.example.com` for all hosts
            below that domain, not itself; `*` for any host. None: any host, or with `allow_private`
            no others. What no `Host` field could match is left out, with a warning in the log.
        www_redirect: redirect from `example.com` to `www.example.com` where only the latter is allowed.
        allow_private: allow, besides `allowed_hosts`, IP addresses, names without a dot and
            `*.localhost`: what health checks, containers and developers use, and no stranger can have
            pointed here, since DNS rebinding needs a domain.

    Raises:
        ValueError: a `*` elsewhere than in front of a domain.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowed_hosts: Sequence[str] | None = None,
        www_redirect: bool = True,
        *,
        allow_private: bool = False,
    ) -> None:
        if allowed_hosts is None:
            allowed_hosts = [] if allow_private else ["*"]
        patterns = map(_read_pattern, read_texts(_logger, "allowed_hosts", allowed_hosts))
        self.app = app
        self.allowed_hosts = [pattern for pattern in patterns if pattern is not None]
        if not (self.allowed_hosts or allow_private):
            _logger.warning(
                "allowed_hosts=%r lets nobody in: pass the hosts of this service, ['*'] to allow any",
                allowed_hosts,
            )
        self.allow_any = "*" in self.allowed_hosts
        self.www_redirect = www_redirect
        self.allow_private = allow_private
        wildcards = {pattern for pattern in self.allowed_hosts if pattern.startswith("*")}
        self._hosts = frozenset(self.allowed_hosts) - wildcards
        # As they stand in a `Host` field: with the dot in front.
        self._domains = tuple(pattern[1:] for pattern in wildcards)
        self._named: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        parsed = find_request_host(scope, any_port=True)
        if parsed is None:
            await refuse_host(scope, receive, send)
            return
        host = _normalize(parsed.host)
        if (
            self.allow_any
            or host in self._hosts
            or self._is_subdomain(host)
            or (self.allow_private and is_private(host))
        ):
            await self.app(scope, receive, send)
        elif self.www_redirect and "www." + host in self._hosts:
            # The target is one of our own hosts by the look-up above.
            url = URL(scope=scope).replace(netloc="www." + parsed.authority)
            await answer(RedirectResponse(url), scope, receive, send)
        else:
            self._name(host)
            await refuse_host(scope, receive, send)

    def _name(self, host: str) -> None:
        if host not in self._named and len(self._named) < _MAX_NAMED_HOSTS:
            self._named.add(host)
            _logger.warning(
                "Requests for the host %r are refused with 400: if it is a name of this service, add it "
                "to allowed_hosts (the setting ALLOWED_HOSTS of the service)",
                host,
            )

    def _is_subdomain(self, host: str) -> bool:
        return any(
            host.endswith(domain) and _SUBDOMAINS.fullmatch(host, 0, len(host) - len(domain))
            for domain in self._domains
        )


def _normalize(host: str) -> str:
    if host.startswith("[") and not host.startswith("[v"):
        return f"[{IPv6Address(host[1:-1])}]"
    return host.lower()


def _read_pattern(pattern: str) -> str | None:
    """Return a pattern as it is compared, None for one that nothing matches."""
    if pattern == "*":
        return pattern
    domain = pattern.removeprefix("*.")
    if "*" in domain:
        raise ValueError(f"allowed_hosts has {pattern!r}. {ENFORCE_DOMAIN_WILDCARD}")
    parsed = find_host(domain)
    if parsed is None or parsed.host != domain:
        _logger.warning(
            "allowed_hosts has %r, which no host is: write it without scheme, port and path, an IPv6 "
            "address in brackets",
            pattern,
        )
        return None
    return pattern.removesuffix(domain) + _normalize(domain)
