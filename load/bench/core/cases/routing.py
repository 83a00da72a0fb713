"""Finding the route: large tables, for requests and for WebSockets."""

from __future__ import annotations

from typing import Any, Final

from load.bench.cases import LARGE, RouteSpec, build_table
from load.bench.core.case import Case
from load.bench.core.exchange import Handshake, Request, measure_request, measure_socket
from load.bench.core.kit import Kit
from load.bench.measurements import Measurement

SOCKETS: Final = 100


def build_http_app(kit: Kit) -> Any:
    """Return an application with 1,000 routes, those that are asked for at the end."""
    response = kit.load("responses").PlainTextResponse
    route = kit.load("routing").Route

    async def answer(request: Any) -> Any:
        return response("Hello, world!")

    async def answer_params(request: Any) -> Any:
        return response(f"{request.path_params['name']} {request.path_params['id'] + 1}")

    endpoints = {"text": answer, "json": answer, "params": answer_params}
    table = build_table(LARGE, "last")
    return kit.build_app([route(spec.path, endpoints[spec.kind]) for spec in table])


async def find_last(kit: Kit) -> Measurement:
    """The last static path of 1,000."""
    return await measure_request(build_http_app(kit), Request("/text"), b"Hello, world!")


async def find_last_params(kit: Kit) -> Measurement:
    """The last path of 1,000, with two parameters."""
    request = Request("/users/alice/posts/7")
    return await measure_request(build_http_app(kit), request, b"alice 8")


class Accept:
    """An ASGI application that accepts and returns: nothing but the routing is measured."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept", "text": scope["path_params"].get("id", "")})


def build_socket_app(kit: Kit, table: list[RouteSpec]) -> Any:
    """Return an application with a WebSocket at each path of the table."""
    route = kit.load("routing").WebSocketRoute
    return kit.build_app([route(spec.path, Accept(), name=spec.path) for spec in table])


async def find_last_socket(kit: Kit) -> Measurement:
    """The last WebSocket of 100, at a static path."""
    app = build_socket_app(kit, build_table(SOCKETS, "last"))
    return await measure_socket(app, Handshake("/text"), [""])


async def find_first_socket(kit: Kit) -> Measurement:
    """The first WebSocket of 1,000, at a path with two parameters."""
    table = build_table(LARGE, "first")
    params = [spec for spec in table if spec.kind == "params"]
    others = [spec for spec in table if spec.kind != "params"]
    app = build_socket_app(kit, [*params, *others])
    return await measure_socket(app, Handshake("/users/alice/posts/7"), [7])


CASES: Final = (
    Case(f"last of {LARGE} routes, static", find_last, faster=20),
    Case(f"last of {LARGE} routes, parameters", find_last_params, faster=20),
    Case(f"last of {SOCKETS} WebSocket routes", find_last_socket, faster=3),
    Case(f"first of {LARGE} WebSocket routes, parameters", find_first_socket),
)
