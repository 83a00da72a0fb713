"""The shapes of ASGI 3.0 and of the callables that an application hands to the framework.

Source: https://asgi.readthedocs.io/en/latest/specs/main.html. The only module that may import under
`TYPE_CHECKING`: the handler aliases name classes of higher layers, and nothing is imported at run time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from framework.datastructures import URLPath
    from framework.requests import Request
    from framework.responses import Response
    from framework.websockets import WebSocket

__all__ = [
    "ASGIApp",
    "ExceptionHandler",
    "ExceptionHandlerTables",
    "HTTPExceptionHandler",
    "Lifespan",
    "Message",
    "Receive",
    "Scope",
    "Send",
    "StatefulLifespan",
    "StatelessLifespan",
    "SupportsAsyncClose",
    "URLPathProvider",
    "WebSocketExceptionHandler",
]

AppType = TypeVar("AppType")

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]

Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

StatelessLifespan: TypeAlias = Callable[[AppType], AbstractAsyncContextManager[None]]
StatefulLifespan: TypeAlias = Callable[[AppType], AbstractAsyncContextManager[Mapping[str, Any]]]
Lifespan: TypeAlias = StatelessLifespan[AppType] | StatefulLifespan[AppType]

HTTPExceptionHandler: TypeAlias = Callable[
    ["Request[Any]", Exception], "Response | Awaitable[Response] | None"
]
WebSocketExceptionHandler: TypeAlias = Callable[["WebSocket[Any]", Exception], Awaitable[None]]
ExceptionHandler: TypeAlias = Callable[[Any, Any], Any]

# Handlers by exception class, handlers by status code.
ExceptionHandlerTables: TypeAlias = tuple[
    dict[type[Exception], ExceptionHandler], dict[int, ExceptionHandler]
]


class URLPathProvider(Protocol):
    """Whatever can turn a route name into a path: an application, a router, a route."""

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath: ...


class SupportsAsyncClose(Protocol):
    """A resource that is released by awaiting `close()`."""

    async def close(self) -> None: ...
