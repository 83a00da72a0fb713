"""Send one request through a router without an event loop."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.framework.routing.reference import MountSpec, Outcome, RouteSpec, Table

Scope = MutableMapping[str, Any]


@dataclass
class Endpoint:
    """An ASGI application that answers with its label and its path parameters."""

    label: str

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await send({"type": "endpoint", "label": self.label, "params": dict(scope["path_params"])})


def build_handler(label: str) -> Any:
    """Return a handler function whose response is an `Endpoint`."""

    async def handler(request: Any) -> Endpoint:
        return Endpoint(label)

    return handler


def build_router(routing: Any, table: Table) -> Any:
    """Build the router of a table with the classes of `framework.routing` or `starlette.routing`."""
    return routing.Router(routes=_build_routes(routing, table))


def _build_routes(routing: Any, table: Table) -> list[Any]:
    return [
        routing.Mount(spec.template, routes=_build_routes(routing, spec.children))
        if isinstance(spec, MountSpec)
        else routing.Route(spec.template, _build_endpoint(spec), methods=spec.methods)
        for spec in table
    ]


def _build_endpoint(spec: RouteSpec) -> Any:
    # Handler functions go a shorter way than applications, and answer to GET unless told otherwise.
    if spec.methods is None or spec.label.endswith("a"):
        return Endpoint(spec.label)
    return build_handler(spec.label)


def build_scope(path: str, method: str, query: bytes = b"") -> Scope:
    """Return the scope that a server would make, without an application in it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "surrogatepass"),
        "query_string": query,
        "root_path": "",
        "headers": [(b"host", b"evil.example")],
        "client": ("203.0.113.9", 1234),
        "server": ("127.0.0.1", 8000),
    }


class Exchange:
    """One request: collects what is sent."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def receive(self) -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Any) -> None:
        self.messages.append(message)


def request(router: Any, path: str, method: str, query: bytes = b"") -> Outcome:
    """Return what a router made of a request.

    Nothing on the way may wait, so the coroutine is driven by hand: 100,000 times, this counts.
    """
    exchange = Exchange()
    call = router(build_scope(path, method, query), exchange.receive, exchange.send)
    try:
        call.send(None)
    except StopIteration:
        return read_outcome(exchange.messages)
    finally:
        call.close()
    raise RuntimeError(f"routing {path!r} waits for something")


def read_outcome(messages: list[Any]) -> Outcome:
    """Turn the messages of an answer into an outcome."""
    first = messages[0]
    if first["type"] == "endpoint":
        return Outcome(200, first["label"], tuple(sorted(first["params"].items())))
    headers = {name.decode(): value.decode("latin-1") for name, value in first["headers"]}
    location = headers.get("location", "")
    return Outcome(first["status"], allow=headers.get("allow", ""), location=unquote(location))
