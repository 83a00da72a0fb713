"""`BaseHTTPMiddleware`: middleware as one function of a request and of what comes after.

`dispatch` and the application below take turns, and no turn may end while it holds a cancel scope that
the other one is inside of. Three designs were weighed. Stepping the application by hand up to the start
of its response breaks the nesting of scopes whenever it holds one by then (a time limit, a task group).
A task for the application, as Starlette has it, is right but hides context variables and costs most of
the time. So the application runs here, as in any plain ASGI middleware, and `dispatch` is stepped by
hand, in a context of its own: up to `call_next`, then on from inside the `send` that ends the response.
That is a nested call, without a task. There is a task only where the turns cannot be nested: for the
second half of `dispatch` when a response is a stream, and for the application when `dispatch` calls
`call_next` from inside a cancel scope or another task, or a second time.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator
from contextvars import copy_context
from typing import Any

import anyio
from anyio.abc import TaskGroup

from framework.middleware._below import Below, BelowResponse, Unwind, is_cancellation
from framework.middleware._tasks import Child, copy_variables, find_place, is_asyncio
from framework.requests import Request
from framework.responses import Response
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["BaseHTTPMiddleware", "DispatchFunction", "RequestResponseEndpoint"]

RequestResponseEndpoint = Callable[[Request[Any]], Awaitable[Response]]
DispatchFunction = Callable[[Request[Any], RequestResponseEndpoint], Awaitable[Response]]


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
        elif is_asyncio():
            await _Exchange(self, scope, receive, send, None).run()
        else:
            await _run_in_group(self, scope, receive, send)

    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
        """Return the response; `await call_next(request)` is that of the application below."""
        raise NotImplementedError(f"{type(self).__name__} needs a dispatch method or function")


async def _run_in_group(
    middleware: BaseHTTPMiddleware, scope: Scope, receive: Receive, send: Send
) -> None:
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        try:
            await _Exchange(middleware, scope, receive, send, group).run()
        except Exception as exc:
            failure = exc
    if failure is not None:
        raise failure  # bare: that is what callers expect


@types.coroutine
def _switch(exchange: _Exchange) -> Generator[Any, Any, Any]:
    """Stop `dispatch` in its `call_next`."""
    return (yield exchange)


@types.coroutine
def _step(exchange: _Exchange, value: Any, error: BaseException | None) -> Generator[Any, Any, Any]:
    """Run `dispatch` to its `call_next` (returns the exchange) or its end (returns the response).

    What it yields to the event loop on the way is handed on as it is: it runs in this task.
    """
    run = exchange.context.run
    steps = exchange.steps
    try:
        request = run(steps.send, value) if error is None else run(steps.throw, error)
        while request is not exchange:
            try:
                answer = yield request
            except BaseException as exc:
                request = run(steps.throw, exc)
            else:
                request = run(steps.send, answer)
    except StopIteration as stop:
        return stop.value
    return exchange


class _Exchange:
    """One request on its way through one middleware."""

    __slots__ = (
        "app",
        "below",
        "beside",
        "children",
        "context",
        "failure",
        "func",
        "group",
        "place",
        "request",
        "scope",
        "second_half",
        "send",
        "steps",
    )

    def __init__(
        self,
        middleware: BaseHTTPMiddleware,
        scope: Scope,
        receive: Receive,
        send: Send,
        group: TaskGroup | None,
    ) -> None:
        self.app = middleware.app
        self.func = middleware.dispatch_func
        self.scope = scope
        self.send = send
        self.group = group
        self.request = _SharedRequest(scope, receive, send)
        # The context of `dispatch`, wherever it is stepped: a token it holds stays valid.
        self.context = copy_context()
        self.place = find_place()
        self.below: Below | None = None
        self.second_half: Child | None = None
        self.beside: list[tuple[Below, Child]] = []
        self.children: list[Child] = []
        self.failure: BaseException | None = None

    async def run(self) -> None:
        try:
            await self._run_first_half()
        finally:
            for child in self.children:
                await child.end()

    async def _run_first_half(self) -> None:
        awaitable: Any = self.context.run(self.func, self.request, self.call_next)
        self.steps = awaitable if hasattr(awaitable, "send") else awaitable.__await__()
        response = await _step(self, None, None)
        while self.below is not None and response is self:
            below = self.below
            error: BaseException | None = None
            copy_variables(self.context)
            try:
                await self.app(self.scope, self._build_receive(below), below.send)
            except BaseException as exc:
                error = exc
            below.end(error)
            if below.is_resumed:
                await self._finish(below, error)
                return
            self.context.run(copy_variables, copy_context())
            if below.start is not None and error is None:
                response = await _step(self, BelowResponse(below), None)
            else:
                self.below = None
                response = await _step(self, None, error or RuntimeError("No response returned."))
        copy_variables(self.context)
        await self._reply(response)
        await self._end_beside()

    async def _end_beside(self) -> None:
        """Let the applications finish that have sent their response; nobody reads the others."""
        for below, child in self.beside:
            below.close()
            if below.has_sent_all():
                await child.done.wait()
            else:
                await child.end()
            if below.error is not None and below.start is not None:
                raise below.error

    async def _finish(self, below: Below, error: BaseException | None) -> None:
        """End a request whose `dispatch` went on while the application was sending."""
        if error is not None and is_cancellation(error):
            raise error
        if self.second_half is not None:
            await self.second_half.done.wait()
        if self.failure is not None:
            raise self.failure
        if error is not None:
            raise error
        await self._end_beside()

    async def call_next(self, request: Request[Any]) -> Response:
        """Return the response of the application below."""
        if self.below is None and not self.beside and find_place() == self.place:
            self.below = Below(self.send, self.place[0], self._resume, self._fork)
            response: Response = await _switch(self)
            return response
        return await self._call_beside()

    async def _resume(self, response: Response) -> bool:
        """Go on with `dispatch` and send what it returns; tell whether that went well."""
        below = self.below
        try:
            if below is not None and below.context is not None:
                self.context.run(copy_variables, below.context)
            response = await _step(self, response, None)
            copy_variables(self.context)
            await self._reply(response)
        except (Exception, Unwind) as exc:  # `Unwind`: a middleware further out has failed
            self.failure = exc
        if below is not None:
            below.close(is_failed=self.failure is not None)
        return self.failure is None

    def _fork(self, response: Response) -> None:
        async def run() -> None:
            await self._resume(response)

        self.second_half = Child(run, self.group)
        self.children.append(self.second_half)

    async def _call_beside(self) -> Response:
        """Run the application in a task of its own."""
        below = Below(self.send)

        async def run() -> None:
            error: BaseException | None = None
            try:
                await self.app(self.scope, self._build_receive(below), below.send)
            except (Exception, Unwind) as exc:
                error = exc
            finally:
                below.end(error)

        child = Child(run, self.group)
        self.beside.append((below, child))
        self.children.append(child)
        try:
            await below.wait_for_start()
        except BaseException:
            await child.end()
            raise
        if below.start is None:
            raise below.error or RuntimeError("No response returned.")
        if below.context is not None:
            copy_variables(below.context)
        return BelowResponse(below)

    async def _reply(self, response: Any) -> None:
        if not callable(response):
            raise TypeError(f"dispatch returned {response!r}; return a Response")
        await response(self.scope, self.request.receive_once, self.send)

    def _build_receive(self, below: Below) -> Receive:
        async def receive() -> Message:
            if below.is_closed:
                return {"type": "http.disconnect"}
            return await self.request.receive_once()

        return receive


class _SharedRequest(Request[Any]):
    """The request of `dispatch`, whose body the application below can read as well."""

    _is_started = False
    _is_replayed = False

    async def receive_once(self) -> Message:
        """Return the next message for the application below.

        A body that was read here comes whole; one that was streamed here is empty.
        """
        if not self._is_replayed and (self._stream_consumed or hasattr(self, "_body")):
            self._is_replayed = True
            return {
                "type": "http.request",
                "body": getattr(self, "_body", b""),
                "more_body": False,
            }
        if self._held:
            message, *self._held = self._held
        elif self._is_disconnected:
            return {"type": "http.disconnect"}
        else:
            message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_disconnected = True
        elif not message.get("more_body", False):
            if not self._stream_consumed and not self._is_started:
                # It came in one piece: keep it, then it can be read here after `call_next`.
                self._body = message.get("body", b"")
            self._stream_consumed = self._is_replayed = True
        self._is_started = True
        return message
