"""ASGI connection scopes, built from requests of the HTTP client library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from framework.testclient._httpx import httpx2
from framework.types import Scope

DEFAULT_PORTS: Final = {"http": 80, "ws": 80, "https": 443, "wss": 443}
WEBSOCKET_SCHEMES: Final = frozenset({"ws", "wss"})

# The versions of the ASGI specifications that uvicorn announces.
ASGI_HTTP: Final = {"version": "3.0", "spec_version": "2.3"}
ASGI_LIFESPAN: Final = {"version": "3.0", "spec_version": "2.0"}
ASGI_WEBSOCKET: Final = {"version": "3.0", "spec_version": "2.4"}


def build_http_scope(
    request: httpx2.Request, *, root_path: str, client: tuple[str, int], state: Mapping[str, Any]
) -> Scope:
    """Return the `http` scope that a server would make of this request."""
    return {
        "type": "http",
        "asgi": ASGI_HTTP.copy(),
        "method": request.method,
        "extensions": {"http.response.debug": {}, "http.response.trailers": {}},
        **_build_common(request, root_path, client, state),
    }


def build_websocket_scope(
    request: httpx2.Request, *, root_path: str, client: tuple[str, int], state: Mapping[str, Any]
) -> Scope:
    """Return the `websocket` scope that a server would make of this upgrade request."""
    offered = request.headers.get("sec-websocket-protocol")
    return {
        "type": "websocket",
        "asgi": ASGI_WEBSOCKET.copy(),
        "subprotocols": [] if offered is None else [name.strip() for name in offered.split(",")],
        "extensions": {"websocket.http.response": {}},
        **_build_common(request, root_path, client, state),
    }


def _build_common(
    request: httpx2.Request, root_path: str, client: tuple[str, int], state: Mapping[str, Any]
) -> Scope:
    url = request.url
    # Raw, because the bytes of a value need not be text.
    headers = [(name.lower(), value) for name, value in request.headers.raw]
    if "host" not in request.headers:
        headers.insert(0, (b"host", url.netloc))
    port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
    return {
        "http_version": "1.1",
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "root_path": root_path,
        "scheme": url.scheme,
        "query_string": url.query,
        "headers": headers,
        "client": client,
        "server": [url.raw_host.decode("ascii"), port],
        "state": dict(state),
    }
