"""`AuthenticationMiddleware`: asks a backend who sends each request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from framework._callables import is_async_callable
from framework.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    UnauthenticatedUser,
)
from framework.requests import HTTPConnection
from framework.responses import PlainTextResponse, Response
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["AuthenticationMiddleware"]

OnError = Callable[[HTTPConnection[Any], AuthenticationError], Response | Awaitable[Response]]


class AuthenticationMiddleware:
    """Give each request `auth`, its credentials, and `user`, as the backend finds them.

    A request that the backend finds nothing in has no scopes and an `UnauthenticatedUser`. One that it
    refuses is answered by `on_error`; a WebSocket is closed before it is accepted (403).

    Args:
        on_error: `on_error(conn, exc) -> response`, sync or async; 400 with the text of the exception
            unless given.

    Raises:
        TypeError: the backend has no `authenticate`.
    """

    def __init__(
        self, app: ASGIApp, backend: AuthenticationBackend, on_error: OnError | None = None
    ) -> None:
        if not callable(getattr(backend, "authenticate", None)) or isinstance(backend, type):
            raise TypeError(
                f"backend={backend!r} cannot authenticate; pass an instance of a subclass of "
                "AuthenticationBackend"
            )
        self.app = app
        self.backend = backend
        self.on_error: OnError = self.default_on_error if on_error is None else on_error
        self._is_async = is_async_callable(self.on_error)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        conn: HTTPConnection[Any] = HTTPConnection(scope)
        try:
            found = await self.backend.authenticate(conn)
        except AuthenticationError as exc:
            response: Any = self.on_error(conn, exc)
            if self._is_async:
                response = await response
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            else:
                await response(scope, receive, send)
            return
        if found is None:
            found = AuthCredentials(), UnauthenticatedUser()
        scope["auth"], scope["user"] = found
        await self.app(scope, receive, send)

    @staticmethod
    def default_on_error(conn: HTTPConnection[Any], exc: Exception) -> Response:  # noqa: ARG004
        """Answer 400 with the text of the exception."""
        return PlainTextResponse(str(exc), status_code=400)
