"""Run one and the same application on Starlette and on the framework, and compare what they send.

A case is a function that builds an application from a namespace, and the requests it gets. The
namespace holds the public names of either library under the names of ours, so the function is the
experiment of the first promise: the same code, other imports.
"""

from __future__ import annotations

import asyncio
import importlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, Final

MODULES: Final = (
    "applications",
    "authentication",
    "background",
    "concurrency",
    "config",
    "convertors",
    "datastructures",
    "endpoints",
    "exceptions",
    "formparsers",
    "middleware",
    "middleware.authentication",
    "middleware.base",
    "middleware.body_limit",
    "middleware.cors",
    "middleware.exceptions",
    "middleware.gzip",
    "middleware.httpsredirect",
    "middleware.sessions",
    "middleware.trustedhost",
    "requests",
    "responses",
    "routing",
    "schemas",
    "staticfiles",
    "status",
    "templating",
    "websockets",
)
TIMEOUT_SECONDS: Final = 5.0


def load_names(library: str) -> Any:
    """Return the public names of `starlette` or `framework` in one namespace."""
    names = SimpleNamespace(notes=[])
    for name in MODULES:
        module = importlib.import_module(f"{library}.{name}")
        for public in vars(module):
            if not public.startswith("_"):
                setattr(names, public, getattr(module, public))
    if library == "starlette":
        names.App = names.Starlette
    return names


Build = Callable[[Any], Any]


@dataclass(frozen=True)
class Request:
    """A request as a server hands it over; `label` tells apart what looks alike."""

    path: str = "/"
    method: str = "GET"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = (("host", "example.org"),)
    body: tuple[bytes, ...] = (b"",)
    root_path: str = ""
    label: str = ""
    disconnects: bool = False
    scope: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        target = f"{self.path}?{self.query}" if self.query else self.path
        return " ".join(filter(None, (self.method, target, self.label)))

    def with_headers(self, *headers: tuple[str, str]) -> Request:
        """Return the request with more header fields."""
        return replace(self, headers=(*self.headers, *headers))

    def build_scope(self) -> dict[str, Any]:
        """Return a new ASGI scope."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(errors="surrogateescape"),
            "query_string": self.query.encode("latin-1"),
            "root_path": self.root_path,
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in self.headers],
            "client": ("203.0.113.9", 50123),
            "server": ("127.0.0.1", 8000),
            "state": {},
            **dict(self.scope),
        }

    def list_incoming(self) -> list[Any]:
        """Return the messages that the server hands over before the client goes."""
        last = len(self.body) - 1
        return [
            {"type": "http.request", "body": chunk, "more_body": self.disconnects or place < last}
            for place, chunk in enumerate(self.body)
        ]

    def build_disconnect(self) -> Any:
        """Return the message that tells that the client has gone."""
        return {"type": "http.disconnect"}


@dataclass(frozen=True)
class Socket(Request):
    """A WebSocket: the client connects, sends its frames and goes."""

    frames: tuple[str | bytes, ...] = ()
    disconnects: bool = True
    extensions: tuple[str, ...] = ("websocket.http.response",)

    def __str__(self) -> str:
        return " ".join(filter(None, ("WEBSOCKET", self.path, self.label)))

    def build_scope(self) -> dict[str, Any]:
        scope = {**super().build_scope(), "type": "websocket", "scheme": "ws"}
        del scope["method"]
        scope["subprotocols"] = ["chat"]
        scope["extensions"] = {name: {} for name in self.extensions}
        return scope

    def list_incoming(self) -> list[Any]:
        frames = [
            {"type": "websocket.receive", "text" if isinstance(frame, str) else "bytes": frame}
            for frame in self.frames
        ]
        return [{"type": "websocket.connect"}, *frames]

    def build_disconnect(self) -> Any:
        return {"type": "websocket.disconnect", "code": 1001, "reason": "gone"}


@dataclass(frozen=True)
class Case:
    """An application and the requests it gets; each request meets a new application."""

    name: str
    build: Build
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class Result:
    """What came out: the answer, what was raised, and what the application noted on the way."""

    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    chunks: tuple[bytes, ...] = ()
    is_complete: bool = False
    raised: str = ""
    notes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def find_header(self, name: str) -> str | None:
        """Return the value of a header field, None when it was not sent."""
        return dict(self.headers).get(name)


@dataclass
class Exchange:
    """The server's side of one request."""

    request: Request
    notes: list[str]
    messages: list[Any] = field(default_factory=list)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.incoming = self.request.list_incoming()

    async def receive(self) -> Any:
        if self.incoming:
            return self.incoming.pop(0)
        if not self.request.disconnects:
            await self.finished.wait()
        return self.request.build_disconnect()

    async def send(self, message: Any) -> None:
        self.messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.notes.append("response complete")
            self.finished.set()


def run_case(build: Build, library: str, request: Request) -> Result:
    """Build the application on a library and send it one request."""
    names = load_names(library)
    return asyncio.run(_run_request(build(names), request, names.notes))


async def _run_request(app: Any, request: Request, notes: list[str]) -> Result:
    exchange = Exchange(request, notes)
    raised = ""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await app(request.build_scope(), exchange.receive, exchange.send)
    except Exception as exc:
        raised = f"{type(exc).__name__}: {exc}"
    return replace(read_messages(exchange.messages), raised=raised, notes=tuple(notes))


def read_messages(messages: list[Any]) -> Result:
    """Turn the messages of an answer into a result; empty chunks mean nothing."""
    result = Result()
    for message in messages:
        if message["type"] == "http.response.start":
            headers = tuple((k.decode(), v.decode("latin-1")) for k, v in message["headers"])
            result = replace(result, status=message["status"], headers=headers)
        elif message["type"] == "http.response.body":
            chunk = bytes(message.get("body", b""))
            result = replace(
                result,
                chunks=(*result.chunks, chunk) if chunk else result.chunks,
                is_complete=not message.get("more_body", False),
            )
        else:
            result = replace(result, others=(*result.others, repr(sorted(message.items()))))
    return result


def is_gzip(chunks: tuple[bytes, ...]) -> bool:
    """Say whether a body begins as gzip; that of HEAD, which nobody gets, does not."""
    return bool(chunks) and chunks[0].startswith(b"\x1f\x8b")


def unpack(result: Result) -> Result:
    """Return a gzip answer with its chunks decoded: how small they are is the encoder's affair."""
    if result.find_header("content-encoding") != "gzip" or not is_gzip(result.chunks):
        return result
    decoder = zlib.decompressobj(16 + zlib.MAX_WBITS)
    chunks = tuple(decoder.decompress(chunk) for chunk in result.chunks)
    if not decoder.eof or decoder.unused_data:
        raise ValueError(f"{b''.join(result.chunks)!r} is not one whole gzip stream")
    length = ("content-length", str(sum(map(len, result.chunks))))
    headers = tuple(("content-length", "right") if h == length else h for h in result.headers)
    return replace(result, chunks=tuple(filter(None, chunks)), headers=headers)
