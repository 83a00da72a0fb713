"""`ExceptionMiddleware`: turns the exceptions an application has handlers for into responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework._exception_handler import HANDLERS_SCOPE_KEY, run_handled
from framework.exceptions import HTTPException, WebSocketException
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.types import (
    ASGIApp,
    ExceptionHandler,
    ExceptionHandlerTables,
    Receive,
    Scope,
    Send,
)
from framework.websockets import WebSocket

__all__ = ["INNER_SEND_SCOPE_KEY", "ExceptionMiddleware", "build_handler_tables"]

# A list of one: the innermost `send`. What is sent through it passes all of the application's
# middleware. A list, because middleware may hand on a copy of the scope.
INNER_SEND_SCOPE_KEY = "framework.inner_send"


async def http_exception(request: Request[Any], exc: Exception) -> Response:
    """Answer with the status, detail and headers of an `HTTPException`, as text."""
    if not isinstance(exc, HTTPException):
        raise TypeError(f"{exc!r} is no HTTPException; register a handler of its own for it")
    if exc.status_code in (204, 304):
        return Response(status_code=exc.status_code, headers=exc.headers)
    return PlainTextResponse(exc.detail, status_code=exc.status_code, headers=exc.headers)


async def websocket_exception(websocket: WebSocket[Any], exc: WebSocketException) -> None:
    """Close with the code and reason of the exception."""
    await websocket.close(code=exc.code, reason=exc.reason)


def build_handler_tables(
    handlers: Mapping[Any, ExceptionHandler] | None,
    http_default: ExceptionHandler = http_exception,
    websocket_default: ExceptionHandler = websocket_exception,
) -> ExceptionHandlerTables:
    """Sort handlers by exception class and by status code; the defaults are for ours that have none."""
    tables: ExceptionHandlerTables = (
        {HTTPException: http_default, WebSocketException: websocket_default},
        {},
    )
    for key, handler in (handlers or {}).items():
        _file_handler(tables, key, handler)
    return tables


def _file_handler(tables: ExceptionHandlerTables, key: Any, handler: ExceptionHandler) -> None:
    by_class, by_status = tables
    if isinstance(key, int):
        by_status[key] = handler
    elif isinstance(key, type) and issubclass(key, Exception):
        by_class[key] = handler
    else:
        raise TypeError(f"exception handler for {key!r}: use a status code or an exception class")


class ExceptionMiddleware:
    """The innermost layer of a stack. `handlers`: by status code or exception class."""

    def __init__(
        self,
        app: ASGIApp,
        handlers: Mapping[Any, ExceptionHandler] | None = None,
        debug: bool = False,
    ) -> None:
        self.app = app
        self.debug = debug
        is_own = type(self).http_exception is ExceptionMiddleware.http_exception
        self._tables = build_handler_tables(
            handlers,
            http_exception if is_own else self.http_exception,
            self.websocket_exception,
        )
        # Under Starlette's names for them: instrumentation libraries wrap the handlers in place.
        self._exception_handlers, self._status_handlers = self._tables

    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler
    ) -> None:
        """Handle a status code or an exception class from now on."""
        _file_handler(self._tables, exc_class_or_status_code, handler)

    async def http_exception(self, request: Request[Any], exc: Exception) -> Response:
        """Answer an `HTTPException` that has no handler of its own; may be overridden."""
        return await http_exception(request, exc)

    async def websocket_exception(self, websocket: WebSocket[Any], exc: WebSocketException) -> None:
        """Close for a `WebSocketException` that has no handler of its own; may be overridden."""
        await websocket_exception(websocket, exc)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        conn: Request[Any] | WebSocket[Any]
        if scope["type"] == "http":
            if INNER_SEND_SCOPE_KEY in scope:
                scope[INNER_SEND_SCOPE_KEY][0] = send
            conn = Request(scope, receive, send)
        elif scope["type"] == "websocket":
            conn = WebSocket(scope, receive, send)
        else:
            await self.app(scope, receive, send)
            return
        scope[HANDLERS_SCOPE_KEY] = self._tables
        await run_handled(self.app, conn, scope, receive, send)
