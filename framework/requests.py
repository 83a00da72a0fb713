"""`Request`: an HTTP request, read as far as the handler asks for it."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, NoReturn

import anyio
import msgspec

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

from framework._defaults import MAX_BUFFERED_BODY_BYTES, MAX_EXPLAINED_JSON_BYTES
from framework._http.cookies import parse_cookies
from framework.datastructures import URL, Address, Headers, QueryParams, State
from framework.exceptions import ClientDisconnect, JSONDecodeError, RequestBodyTooLarge
from framework.types import Message, Receive, Scope, Send, URLPathProvider

__all__ = [
    "ClientDisconnect",
    "HTTPConnection",
    "Request",
    "cookie_parser",
    "empty_receive",
    "empty_send",
    "explain_json_error",
]

StateT = TypeVar("StateT", bound="Mapping[str, Any] | State", default=State)

_parse_json = msgspec.json.Decoder().decode

SERVER_PUSH_HEADERS_TO_COPY = {
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "user-agent",
}

# Set on the scope while a body limit is in force (bytes): see `middleware.body_limit`.
MAX_BODY_SIZE_SCOPE_KEY = "starlette.max_body_size"

cookie_parser = parse_cookies


class HTTPConnection(Mapping[str, Any], Generic[StateT]):
    """What a request and a WebSocket have in common: a read-only view of the ASGI scope.

    PERF: what is parsed (headers, URL, query, cookies) is parsed when first asked for and kept in the
    instance; `__init__` stores references only. Instances have a `__dict__`, as handlers and other
    people's subclasses put attributes of their own on them.
    """

    _url: URL
    _base_url: URL
    _headers: Headers
    _query_params: QueryParams
    _cookies: dict[str, str]
    _state: StateT

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"scope type {scope['type']!r} is no connection; http or websocket is")
        self.scope = scope

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)

    # A connection equals nothing but itself, whatever Mapping says.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def app(self) -> Any:
        """The application that handles this connection."""
        return self.scope["app"]

    @property
    def url(self) -> URL:
        """The URL of the request; its path is always the path that was routed."""
        try:
            return self._url
        except AttributeError:
            pass
        self._url = URL(scope=self.scope)
        return self._url

    @property
    def base_url(self) -> URL:
        """The URL at which the application is mounted, ending in a slash."""
        try:
            return self._base_url
        except AttributeError:
            pass
        scope = self.scope
        root_path = scope.get("app_root_path", scope.get("root_path", ""))
        path = root_path if root_path.endswith("/") else root_path + "/"
        base = {**scope, "path": path, "query_string": b"", "root_path": root_path}
        self._base_url = URL(scope=base)
        return self._base_url

    @property
    def headers(self) -> Headers:
        """The header fields, names in any case."""
        try:
            return self._headers
        except AttributeError:
            pass
        self._headers = Headers(raw=self.scope["headers"])
        return self._headers

    @property
    def query_params(self) -> QueryParams:
        """The parameters of the query string."""
        try:
            return self._query_params
        except AttributeError:
            pass
        self._query_params = QueryParams(self.scope["query_string"])
        return self._query_params

    @property
    def path_params(self) -> dict[str, Any]:
        """The converted parameters of the path."""
        try:
            params: dict[str, Any] = self.scope["path_params"]
        except KeyError:
            return {}
        return params

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        try:
            return self._cookies
        except AttributeError:
            pass
        self._cookies = {}
        for field in self.headers.getlist("cookie"):
            self._cookies.update(parse_cookies(field))
        return self._cookies

    @property
    def client(self) -> Address | None:
        """Host and port of the peer; None when the server does not know them."""
        host_port = self.scope.get("client")
        return None if host_port is None else Address(*host_port)

    @property
    def session(self) -> dict[str, Any]:
        """The session. Raises `RuntimeError` without a `SessionMiddleware`."""
        session: dict[str, Any] = self._provided("session", "SessionMiddleware")
        mark_accessed = getattr(session, "mark_accessed", None)
        if mark_accessed is not None:
            mark_accessed()
        return session

    @property
    def auth(self) -> Any:
        """The credentials. Raises `RuntimeError` without an `AuthenticationMiddleware`."""
        return self._provided("auth", "AuthenticationMiddleware")

    @property
    def user(self) -> Any:
        """The user. Raises `RuntimeError` without an `AuthenticationMiddleware`."""
        return self._provided("user", "AuthenticationMiddleware")

    def _provided(self, key: str, middleware: str) -> Any:
        try:
            return self.scope[key]
        except KeyError:
            raise RuntimeError(
                f"request.{key} needs {middleware} in the app's middleware"
            ) from None

    @property
    def state(self) -> StateT:
        """What the lifespan, middleware and handlers share for this connection."""
        try:
            return self._state
        except AttributeError:
            pass
        state: Any = State(self.scope.setdefault("state", {}))
        self._state = state
        return self._state

    def url_for(self, name: str, /, **path_params: Any) -> URL:
        """Return the absolute URL of the route `name`. Raises `NoMatchFound` when there is none."""
        provider: URLPathProvider | None = self.scope.get("router") or self.scope.get("app")
        if provider is None:
            raise RuntimeError(f"url_for({name!r}) works only below an App or a Router")
        path = provider.url_path_for(name, **path_params)
        return path.make_absolute_url(base_url=self.base_url)


async def empty_receive() -> NoReturn:
    """Stand in for `receive` where a request was made without one."""
    raise RuntimeError("This request was created without `receive`: its body cannot be read")


async def empty_send(message: Message) -> NoReturn:
    """Stand in for `send` where a request was made without one."""
    raise RuntimeError(
        f"This request was created without `send`: {message['type']!r} cannot be sent"
    )


class Request(HTTPConnection[StateT]):
    """An HTTP request. The body may be read as bytes, JSON or a stream, in any order and repeatedly."""

    # Class-level defaults: most requests never change them, so `__init__` need not set them.
    _stream_consumed = False
    _is_disconnected = False
    # Messages that `is_disconnected` met before the body was read.
    _held: Sequence[Message] = ()
    _held_bytes = 0
    _body: bytes
    _json: Any

    def __init__(
        self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send
    ) -> None:
        if scope["type"] != "http":
            raise ValueError(f"scope type {scope['type']!r} is no HTTP request")
        self.scope = scope
        self._receive = receive
        self._send = send

    @property
    def method(self) -> str:
        """The method in upper case, such as `GET`."""
        method: str = self.scope["method"]
        return method

    @property
    def receive(self) -> Receive:
        """The ASGI channel that the body comes from."""
        return self._receive

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the body as it arrives; ends with an empty chunk. Nothing is kept.

        Raises:
            ClientDisconnect: the client went away before the body was complete.
            RuntimeError: the body was streamed before and is gone.
        """
        if hasattr(self, "_body"):
            yield self._body
            yield b""
            return
        if self._stream_consumed:
            raise RuntimeError("Stream consumed")
        while not self._stream_consumed:
            if self._held:
                message, *self._held = self._held
            else:
                message = await self._receive()
            if message["type"] == "http.request":
                body = message.get("body", b"")
                if not message.get("more_body", False):
                    self._stream_consumed = True
                if body:
                    yield body
            elif message["type"] == "http.disconnect":
                self._is_disconnected = True
                raise ClientDisconnect
        yield b""

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            RequestBodyTooLarge: it is larger than the limit in force, or than
                `MAX_BUFFERED_BODY_BYTES` where no `max_body_size` is set.
            ClientDisconnect: the client went away before the body was complete.
        """
        try:
            return self._body
        except AttributeError:
            pass
        self._body = await self._read_body()
        return self._body

    async def _read_body(self) -> bytes:
        # Where a `max_body_size` is set, `receive` itself keeps it.
        limit = None if MAX_BODY_SIZE_SCOPE_KEY in self.scope else MAX_BUFFERED_BODY_BYTES
        chunks: list[bytes] = []
        size = 0
        async with aclosing(self.stream()) as stream:
            async for chunk in stream:
                size += len(chunk)
                if limit is not None and size > limit:
                    raise RequestBodyTooLarge(limit)
                chunks.append(chunk)
        return b"".join(chunks)

    async def json(self) -> Any:
        """Return the body parsed as JSON (RFC 8259).

        Raises:
            JSONDecodeError: the body is not JSON; answered with 400 unless caught.
        """
        try:
            return self._json
        except AttributeError:
            pass
        body = await self.body()
        try:
            self._json = _parse_json(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise explain_json_error(body, exc) from None
        return self._json

    async def is_disconnected(self) -> bool:
        """Tell whether the client has gone; does not wait. What it finds of the body is kept."""
        if not self._is_disconnected and self._held_bytes <= MAX_BUFFERED_BODY_BYTES:
            message: Message = {}
            with anyio.CancelScope() as scope:
                # A cancelled scope ends the wait at once unless a message is there already.
                scope.cancel()
                message = await self._receive()
            if message.get("type") == "http.disconnect":
                self._is_disconnected = True
            elif message and not self._stream_consumed:
                self._held = [*self._held, message]
                self._held_bytes += len(message.get("body", b""))
        return self._is_disconnected

    async def send_push_promise(self, path: str) -> None:
        """Announce that `path` will be pushed (HTTP/2), where the server offers it."""
        if "http.response.push" in self.scope.get("extensions", {}):
            fields = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name in sorted(SERVER_PUSH_HEADERS_TO_COPY)
                for value in self.headers.getlist(name)
            ]
            await self._send({"type": "http.response.push", "path": path, "headers": fields})

    async def send_early_hints(self, link: str, /, *additional_links: str) -> None:
        """Send `103 Early Hints` with these `Link` values (RFC 8297), where the server offers it."""
        if "http.response.early_hint" in self.scope.get("extensions", {}):
            links = [value.encode("latin-1") for value in (link, *additional_links)]
            await self._send({"type": "http.response.early_hint", "links": links})


def explain_json_error(body: bytes, error: Exception) -> JSONDecodeError:
    """Return the error for a body that is not JSON, with the position where that is known.

    `error` is what the parser (msgspec) raised for it; a body over `MAX_EXPLAINED_JSON_BYTES` is not
    parsed a second time and gets that reason.
    """
    if not body:
        return JSONDecodeError("it is empty")
    if isinstance(error, RecursionError):
        return JSONDecodeError("it is nested too deeply")
    if len(body) <= MAX_EXPLAINED_JSON_BYTES:
        try:
            value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeDecodeError as exc:
            return JSONDecodeError(f"it is not UTF-8 at byte {exc.start}", exc.start)
        except UnicodeEncodeError:
            return JSONDecodeError("it holds a lone surrogate")
        except JSONDecodeError as exc:
            return exc
        except json.JSONDecodeError as exc:
            return JSONDecodeError(f"{exc.msg} at character {exc.pos}", exc.pos)
        except (ValueError, RecursionError):
            pass
    elif isinstance(error, UnicodeDecodeError):
        return JSONDecodeError("it is not UTF-8")
    # What the standard library takes and RFC 8259 does not, or what is too large for it.
    return JSONDecodeError(str(error))


def _refuse_constant(name: str) -> None:
    """Refuse what the standard library takes for a number (RFC 8259 section 6)."""
    raise JSONDecodeError(f"it holds {name}")
