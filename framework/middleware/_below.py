"""The application below a `BaseHTTPMiddleware`: what it sends becomes a response with a body iterator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from contextvars import Context, copy_context
from typing import Any

import anyio

from framework.responses import Response
from framework.types import Message, Receive, Scope, Send


class Unwind(BaseException):
    """`dispatch` has failed: leaves the application, whose own handlers it must not meet."""


def is_cancellation(error: BaseException) -> bool:
    """Say whether an exception ends this task as well; `Unwind`, grouped or not, does not."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_cancellation(each) for each in error.exceptions)
    return not isinstance(error, Exception | Unwind)


class Below:
    """One run of the application: takes its messages, hands them to whoever reads the response.

    `resume(response)` continues `dispatch` in this task and tells whether it went well; `fork(response)`
    continues it in a task of its own.
    """

    __slots__ = (
        "_arrived",
        "_message",
        "_released",
        "_taken",
        "_timer",
        "context",
        "error",
        "fork",
        "info",
        "is_closed",
        "is_complete",
        "is_direct",
        "is_ended",
        "is_failed",
        "is_last_read",
        "is_resumed",
        "outer_send",
        "resume",
        "start",
        "task",
    )

    def __init__(
        self,
        outer_send: Send,
        task: object = None,
        resume: Callable[[Response], Awaitable[bool]] | None = None,
        fork: Callable[[Response], None] | None = None,
    ) -> None:
        self.outer_send = outer_send
        self.task = task
        self.resume = resume
        self.fork = fork
        # Whether `dispatch` has, or is about to get, the response.
        self.is_resumed = resume is None
        self.is_complete = self.is_ended = self.is_closed = False
        self.is_direct = self.is_last_read = self.is_failed = False
        self.start: Message | None = None
        self.info: Mapping[str, Any] | None = None
        self.error: BaseException | None = None
        self.context: Context | None = None
        self._message: Message | None = None
        self._timer: asyncio.Handle | None = None
        self._arrived = self._taken = self._released = _NO_EVENT

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        if self.is_ended and (self.is_failed or not self.is_closed):
            # An error page, sent through the middleware that is left.
            await self.outer_send(message)
            return
        if self.is_closed:
            self._drop()
            return
        kind = message["type"]
        if kind == "http.response.start":
            self._take_start(message)
        elif self.start is None:
            if kind == "http.response.debug":
                self.info = message["info"]
            else:
                await self.outer_send(message)
        elif self.is_resumed:
            await self._hand_over(message)
        elif self.resume is not None and self._is_here() and self._is_whole(message):
            self._cancel_timer()
            self.is_resumed = self.is_complete = True
            self._message = message
            self.context = copy_context()
            if not await self.resume(BelowResponse(self)):
                raise Unwind
        else:
            self._fork_now()
            await self._hand_over(message)

    def _take_start(self, message: Message) -> None:
        if self.start is not None:
            raise RuntimeError("The application has started its response twice")
        self.start = message
        self.context = copy_context()
        if self.is_resumed:
            self._arrived.set()
        elif self._is_here() and isinstance(self.task, asyncio.Task):
            # PERF: nearly always the whole body follows at once, and then no task is needed. When the
            # application waits first, the event loop gets here and the head goes out without a body.
            self._timer = asyncio.get_running_loop().call_soon(self._fork_now)
        else:
            self._fork_now()

    def _is_here(self) -> bool:
        try:
            return asyncio.current_task() is self.task
        except RuntimeError:
            return False

    def _is_whole(self, message: Message) -> bool:
        return message["type"] == "http.response.body" and self._is_last(message)

    def _is_last(self, message: Message) -> bool:
        kind = message["type"]
        if kind == "http.response.trailers":
            return not message.get("more_trailers", False)
        has_trailers = self.start is not None and self.start.get("trailers", False)
        if has_trailers:
            return False
        return kind == "http.response.pathsend" or not message.get("more_body", False)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fork_now(self) -> None:
        self._cancel_timer()
        self.is_resumed = True
        if self.fork is not None:
            self.fork(BelowResponse(self))

    async def _hand_over(self, message: Message) -> None:
        """Wait until the reader has taken the message; after the last, until the response is over."""
        if not self.is_direct:
            self._message = message
            self._taken = anyio.Event()
            self._arrived.set()
            await self._taken.wait()
        if self.is_closed:
            self._drop()
            return
        if self.is_direct and (self._message is message or self._message is None):
            self._message = None
            await self.outer_send(message)
        if self._is_last(message):
            self.is_last_read = True
            self._arrived.set()
            self._released = anyio.Event()
            await self._released.wait()

    def end(self, error: BaseException | None) -> None:
        """The application has returned or raised."""
        self._cancel_timer()
        self.is_ended = True
        self.error = error
        self._arrived.set()

    def _drop(self) -> None:
        if self.is_failed:
            raise Unwind

    def close(self, *, is_failed: bool = False) -> None:
        """Nobody reads any more: the response is over, or has failed, which ends the application."""
        self.is_closed = True
        self.is_failed = is_failed
        self._taken.set()
        self._released.set()

    def has_sent_all(self) -> bool:
        """Say whether the last message has come, read or not."""
        message = self._message
        return self.is_last_read or (message is not None and self._is_last(message))

    async def wait_for_start(self) -> None:
        """Return when a response was started, or never will be."""
        while self.start is None and not self.is_ended:
            await self._wait()

    async def _wait(self) -> None:
        self._arrived = anyio.Event()
        await self._arrived.wait()

    async def read(self) -> Message | None:
        """Return the next message of the body, None when there are no more.

        Raises what the application raised, so that a body cut short never looks complete.
        """
        while self._message is None:
            if self.is_last_read:
                return None
            if self.is_ended:
                if self.error is not None:
                    raise self.error
                return None
            await self._wait()
        message, self._message = self._message, None
        self.is_last_read = self._is_last(message)
        self._taken.set()
        return message

    async def pass_on(self) -> None:
        """Let the application send the rest itself; return when it has."""
        self.is_direct = True
        self._taken.set()
        while not self.is_last_read:
            if self.is_ended:
                if self.error is not None:
                    raise self.error
                await self.outer_send({"type": "http.response.body", "body": b""})
                return
            await self._wait()


class _NoEvent:
    """An event that nobody waits for."""

    def set(self) -> None:
        pass


_NO_EVENT: Any = _NoEvent()


class _Body:
    """The chunks of a response below, once."""

    __slots__ = ("_below", "is_untouched")

    def __init__(self, below: Below) -> None:
        self._below = below
        self.is_untouched = True

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> Any:
        self.is_untouched = False
        while True:
            message = await self._below.read()
            if message is None:
                raise StopAsyncIteration
            if message["type"] == "http.response.pathsend":
                return message
            body = message.get("body", b"")
            if body:
                return body

    async def aclose(self) -> None:
        """Read no more."""
        self._below.close()


class BelowResponse(Response):
    """What `call_next` returns: status, headers and `body_iterator` may be changed before it is sent."""

    body_iterator: AsyncIterable[Any]

    def __init__(self, below: Below) -> None:
        start = below.start or {}
        self.status_code = start["status"]
        self.raw_headers = list(start.get("headers", ()))
        self.background = None
        self.info = below.info
        self.below = below
        self.body_iterator = _Body(below)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        below = self.below
        if self.info is not None:
            await send({"type": "http.response.debug", "info": self.info})
        body = self.body_iterator
        is_untouched = isinstance(body, _Body) and body.is_untouched and send is below.outer_send
        start = dict(below.start or {}) if is_untouched else {"type": "http.response.start"}
        start |= {"status": self.status_code, "headers": self.raw_headers}
        await send(start)
        if not is_untouched:
            await self._send_chunks(send)
        elif below.is_complete:
            message = await below.read()
            await send(message or {"type": "http.response.body", "body": b""})
        else:
            await below.pass_on()
        if self.background is not None:
            await self.background()

    async def _send_chunks(self, send: Send) -> None:
        try:
            async for chunk in self.body_iterator:
                if isinstance(chunk, dict):  # pathsend, which is all of the body
                    await send(chunk)
                    return
                body = chunk.encode(self.charset) if isinstance(chunk, str) else chunk
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except BaseException:
            aclose = getattr(self.body_iterator, "aclose", None)
            if aclose is not None:
                with anyio.CancelScope(shield=True):
                    await aclose()
            raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})
