"""`BaseHTTPMiddleware`: middleware as one function of a request and of what comes after."""

from __future__ import annotations

import sys
from types import CoroutineType
from typing import Any

import anyio
from anyio.abc import TaskGroup

from framework.middleware._below import BelowResponse
from framework.middleware._entrance import Entrance
from framework.middleware._exchange import (
    DispatchFunction,
    Exchange,
    RequestResponseEndpoint,
    advance_here,
)
from framework.middleware._shared_request import SharedRequest
from framework.middleware._tasks import is_trio, wait_for
from framework.requests import Request
from framework.responses import Response
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = ["BaseHTTPMiddleware", "DispatchFunction", "RequestResponseEndpoint"]


# Names that type annotations of other people's code import.
_CachedRequest, _StreamingResponse = SharedRequest, BelowResponse


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
            await _serve_in_group(self, scope, receive, send)
        else:
            await _serve(self, scope, receive, send, None)

    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
        """Return the response; `await call_next(request)` is that of the application below."""
        raise NotImplementedError(f"{type(self).__name__} needs a dispatch method or function")


async def _serve(
    layer: BaseHTTPMiddleware, scope: Scope, receive: Receive, send: Send, group: TaskGroup | None
) -> None:
    """Serve a request by a layer and, outside of trio, by those of its kind right below it.

    First each `dispatch` runs up to its `call_next`, from the outermost inwards, then the application;
    its `send` lets them go on. Last they are ended, from the innermost outwards.
    """
    exchanges: list[Exchange] = []
    exchange: Exchange | None = None
    error: BaseException | None = None
    has_run = False
    while True:
        request = SharedRequest(scope, receive, send)
        exchange = Exchange(layer.app, request, send, group, exchange)
        exchanges.append(exchange)
        try:
            steps: Any = layer.dispatch_func(request, exchange.call_next)
            if steps.__class__ is not CoroutineType:
                steps = wait_for(steps)
            exchange.steps = steps
            # PERF: here and below, the first step is made in place: mostly there is no other.
            answer = steps.send(None)
            if answer is not exchange:
                answer = await advance_here(exchanges, steps, answer, end=exchange)
        except StopIteration as stop:
            answer = stop.value
        except BaseException as exc:
            error = exc
            break
        if answer is not exchange:
            error = await _try(exchanges, exchange.answer(answer))
            break
        below: Any = exchange.app
        if below.__class__ is Entrance:
            below = below.app
        if group is None and below.__class__.__call__ is BaseHTTPMiddleware.__call__:
            # PERF: what its `__call__` does.
            layer, receive, send = below, exchange.receive_below, exchange.send_below
            if below is not exchange.app:
                exchange.app.note(scope, send)
            continue
        has_run = True
        error = await _run(exchanges)
        break
    try:
        await _end(exchanges, error, has_run=has_run)
    finally:
        del error  # its traceback leads back here


async def _run(exchanges: list[Exchange]) -> BaseException | None:
    """Run the application below the innermost exchange; return what it raises."""
    exchange = exchanges[-1]
    try:
        run: Any = exchange.app(exchange.request.scope, exchange.receive_below, exchange.send_below)
        if run.__class__ is not CoroutineType:
            run = wait_for(run)
        await advance_here(exchanges, run, run.send(None))
    except StopIteration:
        pass
    except BaseException as exc:
        return exc
    return None


async def _try(exchanges: list[Exchange], coroutine: Any) -> BaseException | None:
    """Run a coroutine to its end; return what it raises."""
    try:
        await advance_here(exchanges, coroutine)
    except BaseException as exc:
        return exc
    return None


async def _end(exchanges: list[Exchange], error: BaseException | None, *, has_run: bool) -> None:
    """End exchanges from the innermost outwards; the error of one is that of the application above."""
    try:
        while exchanges:
            exchange = exchanges.pop()
            if error is not None or not exchange.is_answered or exchange.children:
                error = await _try(exchanges, exchange.end(error, has_run=has_run))
            has_run = True
        if error is not None:
            raise error
    finally:
        del error  # its traceback leads back here


async def _serve_in_group(
    layer: BaseHTTPMiddleware, scope: Scope, receive: Receive, send: Send
) -> None:
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        try:
            await _serve(layer, scope, receive, send, group)
        except Exception as exc:
            failure = exc
    if failure is not None:
        raise failure  # bare: that is what callers expect
