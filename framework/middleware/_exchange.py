"""One request on its way through one `BaseHTTPMiddleware`.

`dispatch` and the application below take turns, and no turn may end while it holds a cancel scope that
the other one is inside of. So the application runs here, as in any plain ASGI middleware, and `dispatch`
is stepped by hand: up to `call_next`, then on from inside the `send` that ends the response. That is a
nested call: no task, one context. There is a task only where the turns cannot be nested: for the second
half of `dispatch` when a response is a stream, and for the application when `dispatch` calls `call_next`
from inside a cancel scope or another task, or a second time. Tasks run in the context that they were
made in, not in a copy: variables flow both ways, and tokens stay valid.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextvars import Context
from typing import Any

from anyio.abc import TaskGroup

from framework.middleware._below import (
    EMPTY_BODY,
    Below,
    BelowResponse,
    Unwind,
    build_response,
    is_cancellation,
    is_last,
)
from framework.middleware._shared_request import SharedRequest
from framework.middleware._tasks import (
    NO_REQUEST,
    SCOPES,
    Child,
    advance,
    find_context,
    find_scope,
    find_task,
)
from framework.requests import Request
from framework.responses import Response
from framework.types import ASGIApp, Message, Send

RequestResponseEndpoint = Callable[[Request[Any]], Awaitable[Response]]
DispatchFunction = Callable[[Request[Any], RequestResponseEndpoint], Awaitable[Response]]

# How far an exchange has come: `dispatch` has not called yet; it waits in `call_next`; it goes on beside
# the application, which sends a stream; it has failed, so the application has to end; the application
# has ended without an answer, or after that failure; `dispatch` goes on to its answer; that was sent
# (of adjacent exchanges that hand one answer on only the outermost sends, and only it comes that far).
_NEW, _WAITING, _STREAMING, _FAILED, _OVER, _REPLYING, _ANSWERED = range(7)


@types.coroutine
def _switch(exchange: Exchange) -> Generator[Any, Any, Any]:
    """Stop `dispatch` in its `call_next`."""
    return (yield exchange)


@types.coroutine
def advance_here(
    exchanges: Sequence[Exchange],
    coroutine: Any,
    request: Any = NO_REQUEST,
    end: object = NO_REQUEST,
) -> Generator[Any, Any, Any]:
    """Run a coroutine to its end in the task of some exchanges, or until it yields `end`.

    Differs from `advance` in what it knows: where the exchanges are, and when they fall asleep.
    """
    try:
        if request is NO_REQUEST:
            request = coroutine.send(None)
        context = find_context()
        while request is not end:
            for exchange in exchanges:
                exchange.context = context
                exchange.is_here = False
            for exchange in reversed(exchanges):
                if exchange.phase == _WAITING and exchange.start is not None:
                    # The head goes out while the body is still being made.
                    exchange.fork(exchange.start)
            try:
                answer = yield request
            except BaseException as exc:
                _come_back(exchanges)
                request = coroutine.throw(exc)
            else:
                _come_back(exchanges)
                request = coroutine.send(answer)
    except StopIteration as stop:
        return stop.value
    return end


def _come_back(exchanges: Sequence[Exchange]) -> None:
    for exchange in exchanges:
        exchange.is_here = True


class Exchange:
    """One request on its way through one middleware."""

    __slots__ = (
        "app",
        "below",
        "beside",
        "children",
        "context",
        "failure",
        "group",
        "is_here",
        "outer",
        "outer_scope",
        "phase",
        "request",
        "second_half",
        "send",
        "start",
        "steps",
        "task",
    )

    # Set when they are needed: `dispatch`, a coroutine that yields the exchange in `call_next`; the context
    # of the request, when it is first suspended; what the application and the reader of a stream have in
    # common; the task of the reader; how it failed.
    steps: Any
    context: Context
    below: Below
    second_half: Child
    failure: BaseException | None
    # Whether what runs now runs in the task of the request.
    is_here: bool
    task: Any
    outer_scope: object

    def __init__(
        self,
        app: ASGIApp,
        request: SharedRequest,
        send: Send,
        group: TaskGroup | None,
        outer: Exchange | None,
    ) -> None:
        self.app = app
        self.request = request
        self.send = send
        self.group = group
        # That of the middleware right above, which waits in `call_next` and outside of any new scope.
        self.outer = outer
        if outer is not None:
            self.task = outer.task
            self.outer_scope = outer.outer_scope
        else:
            self.task = find_task() if SCOPES and group is None else None
            is_known = self.task is not None or group is not None
            self.outer_scope = find_scope(self.task) if is_known else None
        self.phase = _NEW
        self.is_here = True
        self.start: Message | None = None
        # Applications in tasks of their own, with what they send; all tasks.
        self.beside: tuple[tuple[Below, Child], ...] = ()
        self.children: tuple[Child, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Whether nothing but tasks may be left."""
        return self.phase >= _REPLYING

    async def answer(self, response: Any) -> None:
        """Send what `dispatch` has returned without the application."""
        self.phase = _OVER
        await self._reply(response)

    async def end(self, error: BaseException | None, *, has_run: bool) -> None:
        """End what is left; the application has returned or raised, or `dispatch` if it has not run."""
        try:
            if has_run and (error is not None or self.phase < _REPLYING):
                await self._finish(error)
            elif error is not None:
                raise error
            if self.beside:
                await self._end_beside()
        finally:
            del error
            for child in self.children:
                await child.end()

    async def _finish(self, error: BaseException | None) -> None:
        """End a request that did not go the usual way: no answer yet, a failure, or a stream."""
        phase = self.phase
        if phase == _STREAMING:
            self.below.end(error)
        elif phase != _ANSWERED:
            # What comes now is an error page, also where another one was to send the answer of this.
            self.phase = _OVER
        if phase == _WAITING:
            value: object = error or RuntimeError("No response returned.")
            if self.start is not None and error is None:
                value = build_response(self.start, EMPTY_BODY)
            await self._reply(await advance(self.steps, value))
            return
        if error is not None and is_cancellation(error):
            raise error
        if phase == _STREAMING:
            await self.second_half.done.wait()
        failure = error if phase >= _REPLYING else self.failure or error
        if failure is not None:
            self.failure = None
            try:
                raise failure
            finally:
                del failure, error  # their tracebacks lead back here

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

    async def call_next(self, request: Request[Any]) -> Response:
        """Return the response of the application below."""
        if self.phase == _NEW and self.is_here:
            scope: object = None
            if self.task is not None or self.group is not None:
                scope = find_scope(self.task)
            elif SCOPES:
                scope = find_scope(find_task())
            if scope is self.outer_scope:
                self.phase = _WAITING
                response: Response = await _switch(self)
                return response
        return await self._call_beside()

    async def _call_beside(self) -> Response:
        """Run the application in a task of its own."""
        if self.phase == _NEW:
            self.phase = _OVER
        self.request.rewind()
        below = Below(self.request.receive_once, self.send)
        child = self._start_child(functools.partial(self._run_beside, below), find_context())
        self.beside = (*self.beside, (below, child))
        try:
            await below.wait_for_start()
        except BaseException:
            await child.end()
            raise
        if below.start is None:
            raise below.error or RuntimeError("No response returned.")
        return build_response(below.start, below)

    async def _run_beside(self, below: Below) -> None:
        error: BaseException | None = None
        try:
            await self.app(self.request.scope, below.receive, below.send)
        except BaseException as exc:
            if is_cancellation(exc):
                raise
            error = exc
        finally:
            below.end(error)

    def fork(self, start: Message) -> Below:
        """Go on with `dispatch` in a task of its own."""
        self.phase = _STREAMING
        self.failure = None
        below = self.below = Below(self.request.receive_once, self.send, start)
        self.second_half = self._start_child(
            self._run_second_half, find_context() if self.is_here else self.context
        )
        return below

    async def _run_second_half(self) -> None:
        response = build_response(self.below.start or {}, self.below)
        try:
            await self._reply(await advance(self.steps, response))
        except BaseException as exc:
            if is_cancellation(exc):
                raise
            self.failure = exc
        self.below.close(is_failed=self.failure is not None)

    def _start_child(
        self, func: Callable[[], Coroutine[Any, Any, None]], context: Context
    ) -> Child:
        child = Child(func, context, self.group)
        self.children = (*self.children, child)
        return child

    async def receive_below(self) -> Message:
        """Return the next message for the application."""
        if self.phase == _STREAMING:
            return await self.below.receive()
        if self.phase not in (_WAITING, _REPLYING):
            return {"type": "http.disconnect"}
        return await self.request.receive_once()

    async def send_below(self, message: Message) -> None:
        """Take a message of the application; the last one lets `dispatch` go on, in here."""
        if self.phase != _WAITING or not self.is_here:
            await self._send_otherwise(message)
            return
        start = self.start
        if start is None:
            if message["type"] == "http.response.start":
                self.start = message
            else:
                await self.send(message)
            return
        # PERF: the first test is `is_last` for all that is common, without the call.
        if (
            message["type"] != "http.response.body" or "more_body" in message or "trailers" in start
        ) and not is_last(message, start):
            await self.fork(start).send(message)
            return
        exchange = self
        response = build_response(start, message)
        try:
            while True:
                exchange.phase = _REPLYING
                try:
                    answer = exchange.steps.send(response)
                except StopIteration as stop:
                    answer = stop.value
                else:
                    answer = await advance(exchange.steps, request=answer)
                if answer is not response or response.is_changed():
                    await exchange._reply(answer)
                    break
                status, headers = response.status_code, response.raw_headers
                outer = exchange.outer
                if outer is None or not outer.is_here or outer.phase != _WAITING or outer.start:
                    await exchange.send({**start, "status": status, "headers": headers})
                    await exchange.send(message)
                    break
                # PERF: the next middleware waits for a response: here it is, without two sends.
                exchange = outer
                response = BelowResponse(start, message, status, headers)
            exchange.phase = _ANSWERED
        except (Exception, Unwind) as exc:  # `Unwind`: a middleware further out has failed
            exchange.phase = _FAILED
            exchange.failure = exc
            raise Unwind from None

    async def _send_otherwise(self, message: Message) -> None:
        if self.phase == _STREAMING:
            await self.below.send(message)
        elif self.phase == _FAILED:
            raise Unwind
        elif self.phase == _OVER:
            await self.send(message)  # an error page, through the middleware that is left
        elif self.phase == _WAITING:
            # From another task, while that of the request may be asleep.
            if self.start is None and message["type"] != "http.response.start":
                await self.send(message)
            elif self.start is None:
                self.start = message
                self.fork(message)
            else:
                await self.fork(self.start).send(message)

    async def _reply(self, response: Any) -> None:
        if not callable(response):
            raise TypeError(f"dispatch returned {response!r}; return a Response")
        await response(self.request.scope, self.request.receive_once, self.send)
