"""`CrossOriginProtection`: no other site makes a browser change something here. No tokens needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from framework._http.origins import is_from_own_origin, parse_origins
from framework._http.paths import get_route_path
from framework.exceptions import HTTPException
from framework.middleware._refusals import answer_refusal
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["CrossOriginProtection"]

# They change nothing (RFC 9110 section 9.2.1), so they may come from anywhere.
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class CrossOriginProtection:
    """Refuse with 403 what a page of another origin has a browser send (CSRF, WebSocket hijacking).

    Checked are requests that may change something, and WebSocket handshakes, which bring cookies too:

    1. `Sec-Fetch-Site`, which today's browsers send over TLS and to localhost and which no page can
       forge, must say `same-origin` or `none` (the user himself).
    2. Without it, `Origin` must name the host that the request was sent to; without that, `Referer`.
    3. A request with none of the three is not from a browser and passes.

    A safe method must therefore have no effect. `Origin` is held against the `Host` field, so a proxy in
    front has to hand that on; the scheme is not compared, as a proxy may have taken TLS away.

    Args:
        trusted_origins: origins that may send anything, such as `https://admin.example.com`.
        exempt_paths: paths that anybody may call, as the application sees them (below `root_path`); one
            that ends in `/*` stands for all below.
        websockets: check WebSocket handshakes; if not, every page may open one.

    Raises:
        ValueError: a trusted origin that is none, or a path that cannot match.
        TypeError: one text instead of a list.

    Source: the scheme of Go's `net/http.CrossOriginProtection`; W3C Fetch Metadata; RFC 6454 section 7.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        trusted_origins: Sequence[str] = (),
        exempt_paths: Sequence[str] = (),
        websockets: bool = True,
    ) -> None:
        if isinstance(exempt_paths, str):
            raise TypeError(
                f"exempt_paths={exempt_paths!r} is one text; pass a list such as {[exempt_paths]!r}"
            )
        self.app = app
        self.trusted_origins = parse_origins("trusted_origins", trusted_origins)
        self.exempt_paths = frozenset(_check_path(path) for path in exempt_paths)
        self.exempt_prefixes = tuple(path[:-1] for path in exempt_paths if path.endswith("/*"))
        self.websockets = websockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind == "http":
            is_checked = scope["method"] not in _SAFE_METHODS
        else:
            is_checked = kind == "websocket" and self.websockets
        if not is_checked or self._may_pass(scope):
            await self.app(scope, receive, send)
        else:
            refusal = HTTPException(403, "Cross-origin request refused")
            await answer_refusal(refusal, scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        if is_from_own_origin(scope["headers"], self.trusted_origins):
            return True
        path = get_route_path(scope)
        # The empty tuple is the start of nothing.
        return path in self.exempt_paths or path.startswith(self.exempt_prefixes)


def _check_path(path: str) -> str:
    if not path.startswith("/") or "*" in path.removesuffix("/*"):
        raise ValueError(
            f"exempt path {path!r} matches nothing: it starts with a slash, and * stands at its end "
            "only, behind another one"
        )
    return path
