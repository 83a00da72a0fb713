"""`BaseHTTPMiddleware`: middleware as one function of a request and of what comes after."""

from __future__ import annotations

import sys
from typing import Any

import anyio

from framework.middleware._exchange import (
    DispatchFunction,
    Exchange,
    RequestResponseEndpoint,
    SharedRequest,
)
from framework.middleware._tasks import is_trio
from framework.requests import Request
from framework.responses import Response
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["BaseHTTPMiddleware", "DispatchFunction", "RequestResponseEndpoint"]


class BaseHTTPMiddleware:
    """Override `dispatch`, or give a function of the same form as `dispatch`.

    Messages that are no response (WebSocket, lifespan) pass untouched.
    """

    def __init__(self, app: ASGIApp, dispatch: DispatchFunction | None = None) -> None:
        self.app = app
        self.dispatch_func = self.dispatch if dispatch is None else dispatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if "trio" in sys.modules and is_trio():
            await _run_in_group(self, scope, receive, send)
            return
        request = SharedRequest(scope, receive, send)
        await Exchange(self.app, request, send, None).run(self.dispatch_func)

    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
        """Return the response; `await call_next(request)` is that of the application below."""
        raise NotImplementedError(f"{type(self).__name__} needs a dispatch method or function")


async def _run_in_group(
    middleware: BaseHTTPMiddleware, scope: Scope, receive: Receive, send: Send
) -> None:
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        request = SharedRequest(scope, receive, send)
        try:
            await Exchange(middleware.app, request, send, group).run(middleware.dispatch_func)
        except Exception as exc:
            failure = exc
    if failure is not None:
        raise failure  # bare: that is what callers expect
