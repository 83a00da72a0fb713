"""Trusted hosts and the redirect to TLS."""

from __future__ import annotations

import functools
from typing import Any, Final

from tests.compat.harness import Case, Request, Socket


def build_behind(cls: str, options: dict[str, Any], names: Any) -> Any:
    """Build an application behind one middleware."""

    async def endpoint(request: Any) -> Any:
        return names.PlainTextResponse(f"let in: {request.url.path}")

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.close()

    app = names.App(
        routes=[names.Route("/{path:path}", endpoint), names.WebSocketRoute("/ws", socket)]
    )
    app.add_middleware(getattr(names, cls), **options)
    return app


def to_host(host: str, path: str = "/", query: str = "", **scope: Any) -> Request:
    """Return a request to a host."""
    label = " ".join([f"to {host!r}", *(f"{name}={value}" for name, value in scope.items())])
    return Request(
        path, query=query, headers=(("host", host),), label=label, scope=tuple(scope.items())
    )


HOSTS: Final = (
    *("example.com", "EXAMPLE.com", "example.com:8000", "a.example.org", "A.b.example.org:1"),
    *("example.org", "example.net", "Example.net:8000", "www.example.net", "evil.com", "[::1]"),
    *("[::1]:80", "[::2]", "192.0.2.7", "example.com.evil", "example.com.", "evilexample.com"),
    *("evil.com/.example.org", "a@example.com", "a b", "", "[::1", "xa.example.com"),
)
PATTERNS: Final = ["example.com", "*.example.org", "www.example.net", "[::1]", "192.0.2.7"]

CASES: Final = (
    Case(
        "trusted hosts",
        functools.partial(build_behind, "TrustedHostMiddleware", {"allowed_hosts": PATTERNS}),
        (
            *(to_host(host) for host in HOSTS),
            to_host("example.net", "/a/ä b", "x=1&y=%20"),
            to_host("example.net", "/", scheme="https"),
            Request("/", headers=(), label="to nobody"),
            Request("/", headers=(("host", "example.com"), ("host", "evil.com")), label="to two"),
            Socket("/ws", headers=(("host", "evil.com"),), label="to evil.com"),
            Socket("/ws", headers=(("host", "example.com"),), label="to example.com"),
            Socket("/ws", headers=(("host", "example.net"),), label="to example.net"),
        ),
    ),
    Case(
        "trusted hosts without redirect",
        functools.partial(
            build_behind,
            "TrustedHostMiddleware",
            {"allowed_hosts": PATTERNS, "www_redirect": False},
        ),
        (to_host("example.net"), to_host("www.example.net")),
    ),
    Case(
        "any host",
        functools.partial(build_behind, "TrustedHostMiddleware", {"allowed_hosts": ["*"]}),
        (
            to_host("anything.example"),
            to_host("a b"),
            Request("/", headers=(), label="to nobody"),
        ),
    ),
    Case(
        "https",
        functools.partial(build_behind, "HTTPSRedirectMiddleware", {}),
        (
            *(
                to_host(host)
                for host in ("a.example", "a.example:80", "a.example:443", "A.EXAMPLE")
            ),
            *(to_host(host) for host in ("a.example:8000", "[::1]:8000", "[::1]", "a.example:")),
            to_host("[::1]:80"),
            to_host("a.example", "/ä b", "x=1&y=%20"),
            to_host("a.example", "/", scheme="https"),
            *(to_host(host) for host in ("a b", "a/b", "a@b", "")),
            Request("/", headers=(), label="to nobody"),
            Socket("/ws", headers=(("host", "a.example"),), label="to a.example"),
            Socket(
                "/ws",
                headers=(("host", "a.example"),),
                scope=(("scheme", "wss"),),
                label="secure",
            ),
        ),
    ),
)
