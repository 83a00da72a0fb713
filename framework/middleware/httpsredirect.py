"""`HTTPSRedirectMiddleware`: plain requests are sent to the same URL over TLS."""

from __future__ import annotations

from typing import Final

from framework.datastructures import URL
from framework.middleware._host import answer, find_request_host, refuse_host
from framework.responses import RedirectResponse
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["HTTPSRedirectMiddleware"]

_SECURE_SCHEMES: Final = {"http": "https", "ws": "wss"}
_DEFAULT_PORTS: Final = (80, 443)


class HTTPSRedirectMiddleware:
    """Redirect `http` to `https` and `ws` to `wss` with 307; host, path and query stay as they are.

    A default port is left out, any other one stays. The target is the `Host` field, so a request without
    a single well-formed one gets 400: the server's own address is nobody's business (CVE-2000-0649).
    That the host is one of ours, `TrustedHostMiddleware` makes sure: it belongs outside of this one.
    Behind a proxy that ends TLS the server has to be told of the real scheme (`forwarded_allow_ips`), or
    there are redirects for ever.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["scheme"] not in _SECURE_SCHEMES:
            await self.app(scope, receive, send)
            return
        host = find_request_host(scope)
        if host is None:
            await refuse_host(scope, receive, send)
            return
        authority = host.host if host.port in _DEFAULT_PORTS else host.authority
        url = URL(scope=scope).replace(scheme=_SECURE_SCHEMES[scope["scheme"]], netloc=authority)
        await answer(RedirectResponse(url, status_code=307), scope, receive, send)
