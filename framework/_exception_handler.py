"""From an exception to the handler that the application has for it.

An exception is handled as near to the handler that raised it as possible (a route, a mount), so that
whatever wraps the route sees a response. The handlers travel in the scope; nothing is wrapped on the
way of a request that goes well, except where code that is not ours sends the response.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable
from typing import Any

from framework._callables import get_name, is_async_callable
from framework.concurrency import run_in_threadpool
from framework.exceptions import HTTPException
from framework.requests import HTTPConnection
from framework.types import (
    ASGIApp,
    ExceptionHandler,
    ExceptionHandlerTables,
    Message,
    Receive,
    Scope,
    Send,
)

# The application's handlers: by exception class, by status code.
HANDLERS_SCOPE_KEY = "starlette.exception_handlers"
# True once a response was begun and then failed: too late for an error page.
STARTED_SCOPE_KEY = "framework.response_started"

_NO_HANDLERS: ExceptionHandlerTables = ({}, {})


class TrackedSend:
    """Remember whether a response has been started."""

    __slots__ = ("send", "started")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.started = False

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.started = True
        return self.send(message)


def find_handler(scope: Scope, exc: Exception) -> ExceptionHandler | None:
    """Return the handler for `exc`: by its status first, else by the nearest of its classes."""
    by_class, by_status = scope.get(HANDLERS_SCOPE_KEY, _NO_HANDLERS)
    handler: ExceptionHandler | None = None
    if isinstance(exc, HTTPException):
        handler = by_status.get(exc.status_code)
    if handler is None:
        for cls in type(exc).__mro__:
            handler = by_class.get(cls)
            if handler is not None:
                break
    return handler


async def call_handler(handler: ExceptionHandler, conn: HTTPConnection[Any], exc: Exception) -> Any:
    """Return the response that `handler`, sync or async, gives for `exc`."""
    if is_async_callable(handler):
        response = await handler(conn, exc)
    else:
        response = await run_in_threadpool(handler, conn, exc)
    # An instance that is raised again and again (a module constant) would keep every traceback.
    exc.with_traceback(None)
    return response


async def answer_handled(
    exc: Exception, conn: HTTPConnection[Any], receive: Receive, send: Send
) -> bool:
    """Answer `exc` with the handler in scope; return False when there is none.

    Raises:
        RuntimeError: a handler exists but a response had been started already.
    """
    scope = conn.scope
    handler = find_handler(scope, exc)
    if handler is None:
        return False
    if scope.get(STARTED_SCOPE_KEY):
        raise RuntimeError("Caught handled exception, but response already started.") from exc
    response = await call_handler(handler, conn, exc)
    if response is not None:
        await response(scope, receive, send)
    return True


async def run_tracked(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Run an application of unknown make; when it fails, note in the scope if it had started to answer.

    It may have handlers of its own. Afterwards those of the application around it count again.
    """
    handlers = scope.get(HANDLERS_SCOPE_KEY)
    tracked = TrackedSend(send) if scope["type"] == "http" else None
    try:
        await app(scope, receive, tracked or send)
    except Exception:
        if tracked is not None and tracked.started:
            scope[STARTED_SCOPE_KEY] = True
        raise
    finally:
        if handlers is not None:
            scope[HANDLERS_SCOPE_KEY] = handlers


def build_tracked(app: ASGIApp, *, is_own: bool) -> ASGIApp:
    """Return `app` as it is when it keeps track of started responses itself, else inside `run_tracked`."""
    return app if is_own else functools.partial(run_tracked, app)


async def run_handled(
    app: Any, conn: HTTPConnection[Any], scope: Scope, receive: Receive, send: Send
) -> None:
    """Run an application of unknown make; answer its exceptions with the handlers in scope.

    Raises:
        TypeError: it is none, but something else that an endpoint has returned.
    """
    if not callable(app):
        kind = type(app).__name__
        endpoint = scope.get("endpoint")
        name = "the endpoint" if endpoint is None else get_name(endpoint)
        raise TypeError(f"{kind!r} object is not callable: {name} has to return a Response")
    try:
        await run_tracked(app, scope, receive, send)
    except Exception as exc:
        if not await answer_handled(exc, conn, receive, send):
            raise


class _HandledApp:
    __slots__ = ("app", "conn")

    def __init__(self, app: ASGIApp, conn: HTTPConnection[Any]) -> None:
        self.app = app
        self.conn = conn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_handled(self.app, self.conn, scope, receive, send)


def wrap_app_handling_exceptions(app: ASGIApp, conn: HTTPConnection[Any]) -> ASGIApp:
    """Return `app` with the handlers in scope applied to its exceptions; for frameworks built on this."""
    return _HandledApp(app, conn)
