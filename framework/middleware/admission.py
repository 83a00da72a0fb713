"""`AdmissionMiddleware`: only so many requests at once, a short queue, and 503 for the rest.

What a worker cannot serve in time is refused while that is still cheap: under overload the requests
that are let in keep their speed. A limit of connections in the server does not do: it counts idle ones
and refuses health checks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Collection
from typing import NamedTuple

import anyio

from framework._defaults import (
    ADMISSION_RETRY_SECONDS,
    MAX_ADMISSION_WAIT_SECONDS,
    MAX_REQUESTS_IN_FLIGHT,
    MAX_REQUESTS_WAITING,
)
from framework._http.paths import get_route_path
from framework.exceptions import HTTPException
from framework.middleware._event_streams import is_event_stream
from framework.middleware._refusals import answer_refusal
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Admission", "AdmissionMiddleware", "AdmissionStatistics"]


class AdmissionStatistics(NamedTuple):
    """Requests of this process: being served, waiting for a place, and refused since its start."""

    in_flight: int
    waiting: int
    rejected: int


class Admission:
    """The places of one process, given away first come, first served. For one event loop.

    Give the same one to several `AdmissionMiddleware` and they share its places; keep it at hand to
    read `statistics()`.

    Args:
        max_in_flight: requests served at once.
        max_waiting: requests that wait for a place; 0 is no queue.
        max_wait: seconds that a request waits before it is refused.

    Raises:
        ValueError: a number that leaves no place, or no time to wait.
    """

    __slots__ = ("_in_flight", "_queue", "_rejected", "max_in_flight", "max_wait", "max_waiting")

    def __init__(
        self,
        max_in_flight: int = MAX_REQUESTS_IN_FLIGHT,
        *,
        max_waiting: int = MAX_REQUESTS_WAITING,
        max_wait: float = MAX_ADMISSION_WAIT_SECONDS,
    ) -> None:
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight={max_in_flight!r} must be at least 1")
        if max_waiting < 0:
            raise ValueError(f"max_waiting={max_waiting!r} must not be negative; 0 is no queue")
        if not max_wait > 0:
            raise ValueError(f"max_wait={max_wait!r} must be above 0; max_waiting=0 is no queue")
        self.max_in_flight = max_in_flight
        self.max_waiting = max_waiting
        self.max_wait = max_wait
        self._in_flight = 0
        self._rejected = 0
        self._queue: deque[anyio.Event] = deque()

    def statistics(self) -> AdmissionStatistics:
        """Count the requests."""
        return AdmissionStatistics(self._in_flight, len(self._queue), self._rejected)

    async def acquire(self) -> bool:
        """Take a place, after a while if need be; return False when there is none for this request."""
        if self._in_flight < self.max_in_flight:
            self._in_flight += 1
            return True
        if len(self._queue) >= self.max_waiting or not await self._wait():
            self._rejected += 1
            return False
        return True

    def release(self) -> None:
        """Give a place back; who has waited longest gets it."""
        if self._queue:
            self._queue.popleft().set()
        else:
            self._in_flight -= 1

    async def _wait(self) -> bool:
        turn = anyio.Event()
        self._queue.append(turn)
        try:
            with anyio.move_on_after(self.max_wait):
                await turn.wait()
        except BaseException:
            # Cancelled: a place that was handed over meanwhile goes to the next.
            if turn.is_set():
                self.release()
            else:
                self._queue.remove(turn)
            raise
        if not turn.is_set():
            self._queue.remove(turn)
            return False
        return True


class AdmissionMiddleware:
    """Let at most `admission.max_in_flight` requests in at once; others wait for a moment or get 503.

    The 503 has `Retry-After` and goes through the application's handler for it if there is one. A
    place is held until the application is done with the request, background tasks included.
    WebSockets take no place, as they would keep it for hours, and an event stream gives its own back
    when it begins.

    Args:
        app: the application.
        admission: the places, in each process; see there for the defaults.
        exempt: paths that are always let in, exactly as routes have them: health checks, metrics.
        retry_after: seconds after which clients may try again.

    Raises:
        ValueError: `retry_after` is less than 1.
    """

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission | None = None,
        *,
        exempt: Collection[str] = (),
        retry_after: int = ADMISSION_RETRY_SECONDS,
    ) -> None:
        if retry_after < 1:
            raise ValueError(f"retry_after={retry_after!r} must be at least 1 second")
        if isinstance(exempt, str):
            raise TypeError(f"exempt={exempt!r} is one text: pass a collection of paths")
        self.app = app
        self.admission = Admission() if admission is None else admission
        self.exempt = frozenset(exempt)
        self._headers = {"Retry-After": str(retry_after)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (self.exempt and get_route_path(scope) in self.exempt):
            await self.app(scope, receive, send)
            return
        admission = self.admission
        if not await admission.acquire():
            refusal = HTTPException(503, "The server is busy.", self._headers)
            await answer_refusal(refusal, scope, receive, send)
            return
        place = _Place(admission, send)
        try:
            await self.app(scope, receive, place)
        finally:
            place.release()


class _Place:
    """The `send` of a request that was let in, which knows when its place is free again."""

    __slots__ = ("_admission", "_is_held", "_send")

    def __init__(self, admission: Admission, send: Send) -> None:
        self._admission = admission
        self._send = send
        self._is_held = True

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start" and is_event_stream(message):
            self.release()
        return self._send(message)

    def release(self) -> None:
        """Give the place back, once."""
        if self._is_held:
            self._is_held = False
            self._admission.release()
