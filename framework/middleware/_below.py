"""What the application below a `BaseHTTPMiddleware` sends, as a response with a body iterator."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any

import anyio
import anyio.lowlevel

from framework.background import BackgroundTask
from framework.responses import Response
from framework.responses.streaming import BYTES
from framework.types import Message, Receive, Scope, Send

EMPTY_BODY: Message = {"type": "http.response.body", "body": b""}


class Unwind(BaseException):
    """`dispatch` has failed: leaves the application, whose own handlers it must not meet."""


def is_cancellation(error: BaseException) -> bool:
    """Say whether an exception ends this task as well; `Unwind`, grouped or not, does not."""
    if isinstance(error, BaseExceptionGroup):
        return any(is_cancellation(each) for each in error.exceptions)
    return not isinstance(error, Exception | Unwind)


def is_last(message: Message, start: Message) -> bool:
    """Say whether a message ends the response that `start` began."""
    kind = message["type"]
    if kind == "http.response.body":
        return not (message.get("more_body") or start.get("trailers"))
    if kind == "http.response.trailers":
        return not message.get("more_trailers", False)
    return kind == "http.response.pathsend" and not start.get("trailers", False)


class Below:
    """An application and the reader of its response in two tasks: hands over message by message."""

    __slots__ = (
        "_changed",
        "_message",
        "error",
        "is_closed",
        "is_direct",
        "is_ended",
        "is_failed",
        "is_last_read",
        "outer_receive",
        "outer_send",
        "start",
    )

    def __init__(
        self, outer_receive: Receive, outer_send: Send, start: Message | None = None
    ) -> None:
        self.outer_receive = outer_receive
        self.outer_send = outer_send
        self.start = start
        self.error: BaseException | None = None
        self.is_ended = self.is_closed = self.is_failed = False
        # Whether the application sends the rest itself; whether the last message was read.
        self.is_direct = self.is_last_read = False
        self._message: Message | None = None
        self._changed = anyio.Event()

    async def receive(self) -> Message:
        """Return the next message for the application."""
        return {"type": "http.disconnect"} if self.is_closed else await self.outer_receive()

    async def send(self, message: Message) -> None:
        """Take a message of the application."""
        if self.is_ended and (self.is_failed or not self.is_closed):
            # An error page, sent through the middleware that is left.
            await self.outer_send(message)
        elif self.is_closed:
            await self._drop()
        elif self.start is not None:
            await self._hand_over(message, self.start)
        elif message["type"] == "http.response.start":
            self.start = message
            self._changed.set()
        else:
            await self.outer_send(message)

    async def _hand_over(self, message: Message, start: Message) -> None:
        """Wait until the reader has taken the message; after the last, until the response is over."""
        if message["type"] == "http.response.start":
            raise RuntimeError("The application has started its response twice")
        if not self.is_direct:
            self._message = message
            self._changed.set()
            await self._wait_until_taken()
        if self.is_closed:
            await self._drop()
            return
        if self.is_direct:
            self._message = None
            await self.outer_send(message)
        if is_last(message, start):
            self.is_last_read = True
            self._changed.set()
            while not self.is_closed:
                await self._wait()

    async def _wait_until_taken(self) -> None:
        while not (self._message is None or self.is_direct or self.is_closed):
            await self._wait()

    async def _drop(self) -> None:
        if self.is_failed:
            raise Unwind
        # Others get a turn: an application that sends for ever would never notice that it is cancelled.
        await anyio.lowlevel.checkpoint()

    def end(self, error: BaseException | None) -> None:
        """The application has returned or raised."""
        self.is_ended = True
        self.error = error
        self._changed.set()

    def close(self, *, is_failed: bool = False) -> None:
        """Nobody reads any more: the response is over, or has failed, which ends the application."""
        self.is_closed = True
        self.is_failed = is_failed
        self._changed.set()

    def has_sent_all(self) -> bool:
        """Say whether the last message has come, read or not."""
        if self._message is None or self.start is None:
            return self.is_last_read
        return is_last(self._message, self.start)

    async def wait_for_start(self) -> None:
        """Return when a response was started, or never will be."""
        while self.start is None and not self.is_ended:
            await self._wait()

    async def _wait(self) -> None:
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    async def read(self) -> Message | None:
        """Return the next message of the body, None when there are no more.

        Raises what the application raised, so that a body cut short never looks complete.
        """
        while self._message is None:
            if self.is_last_read or self._has_ended():
                return None
            await self._wait()
        message, self._message = self._message, None
        self.is_last_read = self.start is not None and is_last(message, self.start)
        self._changed.set()
        return message

    async def pass_on(self) -> None:
        """Let the application send the rest itself; return when it has. Raises as `read` does."""
        self.is_direct = True
        self._changed.set()
        while not self.is_last_read:
            if self._has_ended():
                await self.outer_send(EMPTY_BODY)
                return
            await self._wait()

    def _has_ended(self) -> bool:
        if self.error is not None:
            raise self.error
        return self.is_ended


class _Body:
    """The chunks of a response below, once; `source` is as in `BelowResponse`."""

    __slots__ = ("_is_untouched", "_source")

    def __init__(self, source: Below | Message) -> None:
        self._source = source
        self._is_untouched = True

    def is_all_of(self, source: Below | Message) -> bool:
        """Say whether this is the body of `source` and nothing was read of it."""
        return self._is_untouched and self._source is source

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> Any:
        body: Any = b""
        while not body:
            message = await self._read()
            if message is None:
                raise StopAsyncIteration
            body = message if message["type"] == "http.response.pathsend" else message.get("body")
        return body

    async def _read(self) -> Message | None:
        is_first, self._is_untouched = self._is_untouched, False
        if isinstance(self._source, Below):
            return await self._source.read()
        return self._source if is_first else None

    async def aclose(self) -> None:
        """Read no more."""
        if isinstance(self._source, Below):
            self._source.close()


class BelowResponse(Response):
    """What `call_next` returns: status, headers and `body_iterator` may be changed before it is sent.

    `start` is the message that began the response; `status` and `headers` are its own or what a middleware
    below has made of them. `source` gives the body: the message that is all of it, or `Below` for a stream.
    """

    background: BackgroundTask | None
    _body: AsyncIterable[Any] | None

    def __init__(
        self,
        start: Message,
        source: Below | Message,
        status: int,
        headers: Iterable[tuple[bytes, bytes]],
    ) -> None:
        self.status_code = status
        self.raw_headers = list(headers)
        self.start = start
        self.source = source
        self.background = self._body = None

    @property
    def body_iterator(self) -> AsyncIterable[Any]:
        """The chunks of the body, once; what is set here is sent instead."""
        if self._body is None:
            self._body = _Body(self.source)
        return self._body

    @body_iterator.setter
    def body_iterator(self, body: AsyncIterable[Any]) -> None:
        self._body = body

    def is_changed(self) -> bool:
        """Say whether there is more to it than a head and the body from below."""
        return self._body is not None or self.background is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, source = self._body, self.source
        passes = body is None or (isinstance(body, _Body) and body.is_all_of(source))
        if isinstance(source, Below):
            passes = passes and send == source.outer_send
        start = self.start if passes else {"type": "http.response.start"}
        await send({**start, "status": self.status_code, "headers": self.raw_headers})
        if not passes:
            await self._send_chunks(self.body_iterator, send)
        elif isinstance(source, Below):
            await source.pass_on()
        else:
            await send(source)
        if self.background is not None:
            await self.background()

    async def _send_chunks(self, body: AsyncIterable[Any], send: Send) -> None:
        is_whole = False
        try:
            async for chunk in body:
                if isinstance(chunk, dict):  # pathsend, which is all of the body
                    await send(chunk)
                    return
                data = chunk if isinstance(chunk, BYTES) else chunk.encode(self.charset)
                await send({"type": "http.response.body", "body": data, "more_body": True})
            is_whole = True
        finally:
            aclose = None if is_whole else getattr(body, "aclose", None)
            if aclose is not None:
                with anyio.CancelScope(shield=True):
                    await aclose()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def build_response(start: Message, source: Below | Message) -> BelowResponse:
    """Return a response as the application below has begun it."""
    return BelowResponse(start, source, start["status"], start.get("headers", ()))
