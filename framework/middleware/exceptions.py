"""`ExceptionMiddleware`: turns the exceptions an application has handlers for into responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from framework._exception_handler import HANDLERS_SCOPE_KEY, run_handled
from framework.exceptions import HTTPException
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

__all__ = ["INNER_SEND_SCOPE_KEY", "ExceptionMiddleware", "build_handler_tables"]

# The innermost `send`: what is sent through it passes all of the application's middleware.
INNER_SEND_SCOPE_KEY = "framework.inner_send"


async def http_exception(request: Request[Any], exc: Exception) -> Response:
    """Answer with the status, detail and headers of an `HTTPException`, as text."""
    if not isinstance(exc, HTTPException):
        raise TypeError(f"{exc!r} is no HTTPException; register a handler of its own for it")
    if exc.status_code in (204, 304):
        return Response(status_code=exc.status_code, headers=exc.headers)
    return PlainTextResponse(exc.detail, status_code=exc.status_code, headers=exc.headers)


def build_handler_tables(
    handlers: Mapping[Any, ExceptionHandler] | None, default: ExceptionHandler = http_exception
) -> ExceptionHandlerTables:
    """Sort handlers by exception class and by status code; `default` is for `HTTPException`."""
    tables: ExceptionHandlerTables = ({HTTPException: default}, {})
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
            handlers, http_exception if is_own else self.http_exception
        )

    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler
    ) -> None:
        """Handle a status code or an exception class from now on."""
        _file_handler(self._tables, exc_class_or_status_code, handler)

    async def http_exception(self, request: Request[Any], exc: Exception) -> Response:
        """Answer an `HTTPException` that has no handler of its own; may be overridden."""
        return await http_exception(request, exc)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[HANDLERS_SCOPE_KEY] = self._tables
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope[INNER_SEND_SCOPE_KEY] = send
        await run_handled(self.app, Request(scope, receive, send), scope, receive, send)
