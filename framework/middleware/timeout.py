"""`TimeoutMiddleware`: a request has a deadline."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Collection

import anyio

from framework._defaults import REQUEST_TIMEOUT_SECONDS
from framework._exception_handler import TrackedSend
from framework._http.paths import get_route_path
from framework.exceptions import HTTPException
from framework.middleware._event_streams import is_event_stream
from framework.middleware._refusals import answer_refusal
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["TimeoutMiddleware"]

_TIMER_SCOPE_KEY = "framework.request_timer"

_BODIES = frozenset({"http.response.body", "http.response.pathsend"})

# A request whose body has not come whole: what is left of it must not be taken for the next one.
_FIELDS = {"Connection": "close"}


class TimeoutMiddleware:
    """Cancel the handler of a request that takes longer than `seconds`.

    The client gets 504, through the application's handler for it if there is one. When the response has
    begun already it stays incomplete: `TimeoutError` is raised, so that the server closes the
    connection. Cancelling happens where the handler awaits: a sync handler in its thread cannot be
    stopped, and the answer waits until it is done.

    A second one further in, such as `Route(..., middleware=[Middleware(TimeoutMiddleware, 300)])`,
    replaces the deadline, up or down, counted from the beginning of the request. WebSockets have none,
    an event stream (`text/event-stream`) has none from its beginning on, and background tasks, which
    run when the response is complete, have none either.

    Args:
        app: the application.
        seconds: from the request to the end of its response; None is no deadline.
        exempt: paths without a deadline, exactly as routes have them.
        start_only: the deadline is for the beginning of the response, so that a large file to a slow
            client is not cut off.

    Raises:
        ValueError: `seconds` is not above 0.
    """

    def __init__(
        self,
        app: ASGIApp,
        seconds: float | None = REQUEST_TIMEOUT_SECONDS,
        *,
        exempt: Collection[str] = (),
        start_only: bool = False,
    ) -> None:
        if seconds is not None and not seconds > 0:
            raise ValueError(f"seconds={seconds!r} must be above 0; None is no deadline")
        if isinstance(exempt, str):
            raise TypeError(f"exempt={exempt!r} is one text: pass a collection of paths")
        self.app = app
        self.seconds = math.inf if seconds is None else seconds
        self.exempt = frozenset(exempt)
        self.start_only = start_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (self.exempt and get_route_path(scope) in self.exempt):
            await self.app(scope, receive, send)
            return
        timer: _Timer | None = scope.get(_TIMER_SCOPE_KEY)
        if timer is not None:
            timer.replace(self.seconds, self.start_only)
            await self.app(scope, receive, send)
            return
        timer = scope[_TIMER_SCOPE_KEY] = _Timer(send, self.seconds, self.start_only)
        try:
            with timer.cancel_scope:
                await self.app(scope, receive, timer)
        finally:
            del scope[_TIMER_SCOPE_KEY]
        if timer.cancel_scope.cancelled_caught:
            if timer.started:
                raise TimeoutError(
                    f"the response was not complete {timer.seconds:g} seconds after its request"
                )
            await answer_refusal(HTTPException(504, headers=_FIELDS), scope, receive, send)


class _Timer(TrackedSend):
    """The deadline of one request; its `send`, which notes the beginning of the response."""

    __slots__ = ("began", "cancel_scope", "seconds", "start_only")

    def __init__(self, send: Send, seconds: float, start_only: bool) -> None:
        super().__init__(send)
        self.began = anyio.current_time()
        self.cancel_scope = anyio.CancelScope(deadline=self.began + seconds)
        self.seconds = seconds
        self.start_only = start_only

    def replace(self, seconds: float, start_only: bool) -> None:
        """Put another deadline in force."""
        self.seconds = seconds
        self.start_only = start_only
        self.cancel_scope.deadline = self.began + seconds

    def __call__(self, message: Message) -> Awaitable[None]:
        kind = message["type"]
        if kind == "http.response.start":
            self.started = True
            if self.start_only or is_event_stream(message):
                self.cancel_scope.deadline = math.inf
        elif kind in _BODIES and not message.get("more_body", False):
            return self._finish(message)
        return self.send(message)

    async def _finish(self, message: Message) -> None:
        """Send the end of the response; background work after it may take longer."""
        await self.send(message)
        self.cancel_scope.deadline = math.inf
