"""CORS: the same questions of browsers to differently configured servers."""

from __future__ import annotations

import functools
from typing import Any, Final

from tests.compat.harness import Case, Request, Socket

GOOD: Final = "https://good.com"
CONFIGURATIONS: Final[dict[str, dict[str, Any]]] = {
    "nothing": {},
    "listed": {
        "allow_origins": [GOOD, "https://other.com:8443", "null"],
        "allow_methods": ["GET", "PUT"],
        "allow_headers": ["X-Token", "Authorization"],
        "expose_headers": ["X-Request-ID", "ETag"],
        "max_age": 60,
    },
    "credentials": {
        "allow_origins": (GOOD,),
        "allow_credentials": True,
        "allow_methods": ["*"],
        "allow_headers": ["*"],
    },
    "everybody": {
        "allow_origins": ["*"],
        "allow_credentials": True,
        "allow_headers": ["*"],
        "expose_headers": ["*"],
    },
    "star": {"allow_origins": ["*"], "allow_methods": "*", "allow_headers": "*"},
    "pattern": {
        "allow_origin_regex": r"https://([a-z]+\.)?good\.com",
        "allow_private_network": True,
    },
}


def build_cors(configuration: str, names: Any) -> Any:
    """Build an application behind the middleware."""

    async def plain(request: Any) -> Any:
        return names.PlainTextResponse("plain")

    async def varying(request: Any) -> Any:
        response = names.PlainTextResponse("varying", headers={"Vary": "Cookie"})
        response.headers.append("Vary", "Accept")
        return response

    async def stream(request: Any) -> Any:
        return names.StreamingResponse(iter([b"a", b"b"]))

    async def fail(request: Any) -> Any:
        raise LookupError("unhandled")

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.close()

    app = names.App(
        routes=[
            names.Route("/", plain, methods=["GET", "POST", "OPTIONS"]),
            names.Route("/varying", varying),
            names.Route("/stream", stream),
            names.Route("/fail", fail),
            names.WebSocketRoute("/ws", socket),
        ]
    )
    app.add_middleware(names.CORSMiddleware, **CONFIGURATIONS[configuration])
    return app


ORIGINS: Final = (
    *(GOOD, "https://other.com:8443", "https://sub.good.com", "null", "https://evil.com"),
    *(
        "https://good.com.evil",
        "HTTPS://GOOD.COM",
        "https://good.com/",
        "https://good.com:8000",
        "",
    ),
)


def from_origin(origin: str, path: str = "/", method: str = "GET", **fields: str) -> Request:
    """Return a request from a page of an origin."""
    label = " ".join([f"from {origin!r}", *(f"{name}={value}" for name, value in fields.items())])
    headers = [(name.replace("_", "-"), value) for name, value in fields.items()]
    return Request(path, method, label=label).with_headers(("origin", origin), *headers)


def preflight(origin: str, method: str, headers: str | None = None, **fields: str) -> Request:
    """Return the question that a browser asks before the request."""
    fields = {"access_control_request_method": method, **fields}
    if headers is not None:
        fields["access_control_request_headers"] = headers
    return from_origin(origin, "/", "OPTIONS", **fields)


REQUESTS: Final = (
    *(Request(path, method) for path in ("/", "/varying", "/stream", "/no") for method in ("GET",)),
    Request("/", "OPTIONS"),
    *(from_origin(origin) for origin in ORIGINS),
    *(from_origin(GOOD, path) for path in ("/varying", "/stream", "/no", "/fail")),
    from_origin(GOOD, "/", "OPTIONS"),
    from_origin(GOOD, "/", "POST"),
    *(preflight(origin, "GET") for origin in ORIGINS),
    *(preflight(GOOD, method) for method in ("PUT", "DELETE", "QUERY", "get", "FOO")),
    *(
        preflight(GOOD, "GET", headers)
        for headers in ("x-token", "X-Token,authorization", "x-other", "accept, x-token")
    ),
    preflight(GOOD, "GET", access_control_request_private_network="true"),
    preflight("https://evil.com", "DELETE", "x-other", access_control_request_private_network="1"),
    Socket("/ws"),
)

CASES: Final = (
    *(
        Case(f"cors {name}", functools.partial(build_cors, name), REQUESTS)
        for name in CONFIGURATIONS
    ),
    Case(
        "cors lists",
        functools.partial(build_cors, "listed"),
        (
            preflight(GOOD, "GET", "x-token, ,authorization,"),
            preflight(GOOD, "GET", ""),
        ),
    ),
)
