"""Raw ASGI connections, and a log stream that is read back as data."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry

from framework.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "0123456789abcdef0123456789abcdef"
GIVEN_ID = [(b"x-request-id", REQUEST_ID.encode())]

Observe = Callable[..., ASGIApp]
"""The fixture `observe`: wraps an application in the middleware."""


class LogStream(io.StringIO):
    """A stream without a descriptor."""

    def lines(self) -> list[dict[str, Any]]:
        """Return every line as data; a line that is no JSON fails the test.

        What the event loop tells about itself at level debug is left out.
        """
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in lines if (line["logger"], line["level"]) != ("asyncio", "debug")]

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one event."""
        return [line for line in self.lines() if line["event"] == event]


class Route:
    """What a router leaves in the scope."""

    def __init__(self, path: str) -> None:
        self.path = path


class MountedRoutes(Route):
    """A mount: it has routes of its own."""

    routes: tuple[Route, ...] = ()


def http_scope(
    path: str = "/items/7",
    method: str = "GET",
    headers: Iterable[tuple[bytes, bytes]] = (),
    **changes: Any,
) -> Scope:
    return {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"token=secret",
        "root_path": "",
        "scheme": "http",
        "headers": list(headers),
        "client": ("192.0.2.7", 4711),
        "server": ("192.0.2.1", 80),
        **changes,
    }


def websocket_scope(path: str = "/chat/7") -> Scope:
    return {
        "type": "websocket",
        "path": path,
        "headers": [],
        "client": ("192.0.2.7", 4711),
    }


def answer(status: int = 200, body: bytes = b"hello", route: str | None = "/items/{id}") -> ASGIApp:
    """Return an application that gives one answer."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if route is not None:
            scope["route"] = Route(route)
        await send({"type": "http.response.start", "status": status, "headers": [(b"a", b"b")]})
        await send({"type": "http.response.body", "body": body})

    return app


class Server:
    """The server's side of one connection: what it received from the application, what it sends."""

    def __init__(self, *incoming: Message) -> None:
        self.incoming = list(incoming)
        self.sent: list[Message] = []
        self.disconnected = False

    async def receive(self) -> Message:
        return self.incoming.pop(0)

    async def send(self, message: Message) -> None:
        if not self.disconnected:
            self.sent.append(message)

    async def run(self, app: ASGIApp, scope: Scope | None = None) -> Server:
        await app(http_scope() if scope is None else scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.sent[0]["headers"] if key == name]


def count(registry: CollectorRegistry, status: int) -> float:
    """Return how many GET requests of the route of `answer` had this status."""
    wanted = {"method": "GET", "route": "/items/{id}", "status": str(status)}
    return registry.get_sample_value("http_requests_total", wanted) or 0.0
