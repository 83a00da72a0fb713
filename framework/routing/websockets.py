"""`WebSocketRoute`: a WebSocket endpoint at a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from framework._callables import get_name, is_handler_function, is_plain
from framework._http.origins import Origin, is_from_own_origin, parse_origins
from framework._http.paths import get_route_path
from framework._websocket_session import run_session
from framework.datastructures import URLPath
from framework.exceptions import NoMatchFound
from framework.middleware import Middleware
from framework.routing.patterns import PathPattern, compile_path, convert_params
from framework.routing.routes import BaseRoute, Match, build_stack
from framework.routing.tree import Candidate
from framework.routing.urls import replace_params
from framework.types import ASGIApp, Receive, Scope, Send
from framework.websockets import WebSocket, WebSocketClose

__all__ = [
    "SOCKET_METHOD",
    "WebSocketRoute",
    "websocket_session",
]

# What stands in the index of WebSockets where that of HTTP has the method.
SOCKET_METHOD = "websocket"

# Before it is accepted: the server answers with 403, whatever the code.
_REFUSAL: Final = WebSocketClose(1008, "Cross-origin request refused")


def websocket_session(func: Callable[[WebSocket[Any]], Awaitable[None]]) -> ASGIApp:
    """Return the ASGI application that runs `func(websocket)`, an async function.

    Exceptions go to the handlers of the application. In the end the WebSocket is closed: with 1000,
    with the code of a `WebSocketException`, or with 1011 after any other.
    """

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await run_session(WebSocket(scope, receive, send), func, receive, send)

    return app


class _OriginCheck:
    """Refuses (403) what pages of other origins open. Source: RFC 6455 section 10.2."""

    __slots__ = ("app", "origins")

    def __init__(self, app: ASGIApp, origins: frozenset[Origin]) -> None:
        self.app = app
        self.origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app if is_from_own_origin(scope["headers"], self.origins) else _REFUSAL
        await app(scope, receive, send)


class WebSocketRoute(BaseRoute):
    """A WebSocket endpoint at a path.

    Args:
        path: a template such as `/rooms/{id:int}`; starts with a slash.
        endpoint: an async function of the WebSocket, or any ASGI application.
        name: for `url_path_for`; the name of the endpoint unless given.
        middleware: around this endpoint only, the first outermost.
        allowed_origins: origins whose pages may open it, such as `https://www.example.com`, besides those
            of the host it is opened at; `()` for those alone. None: every page, unless a
            `CrossOriginProtection` around it knows better. A client that is no browser is not asked.

    Raises:
        ValueError: a path without a leading slash, a parameter named twice, an unknown convertor, an
            origin that is none.
        TypeError: one text instead of a list of origins.
    """

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        middleware: Sequence[Middleware] | None = None,
        allowed_origins: Sequence[str] | None = None,
    ) -> None:
        if not path.startswith("/"):
            raise ValueError(f"path {path!r} must start with '/'")
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint) if name is None else name
        app: ASGIApp = websocket_session(endpoint) if is_handler_function(endpoint) else endpoint
        self.app = build_stack(app, middleware, None)
        if allowed_origins is not None:
            self.app = _OriginCheck(self.app, parse_origins("allowed_origins", allowed_origins))
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "websocket":
            return Match.NONE, {}
        found = self.path_regex.match(get_route_path(scope))
        params = None if found is None else convert_params(found, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        return Match.FULL, {
            "endpoint": self.endpoint,
            "path_params": {**scope.get("path_params", {}), **params},
        }

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        if name != self.name or path_params.keys() != self.param_convertors.keys():
            raise NoMatchFound(name, path_params)
        path, _ = replace_params(self.path_format, self.param_convertors, path_params)
        return URLPath(path=path, protocol="websocket")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)

    def as_candidate(self, position: int) -> Candidate:
        if not is_plain(self.matches, _PLAIN_MATCHES):
            return super().as_candidate(position)
        return Candidate(
            position,
            self,
            PathPattern(self.path, self.param_convertors),
            (SOCKET_METHOD,),
            scope_type="websocket",
            is_direct=is_plain(self.handle, _PLAIN_HANDLE),
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, WebSocketRoute)
            and self.path == other.path
            and self.endpoint == other.endpoint
        )

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(path={self.path!r}, name={self.name!r})"


_PLAIN_HANDLE, _PLAIN_MATCHES = WebSocketRoute.handle, WebSocketRoute.matches
