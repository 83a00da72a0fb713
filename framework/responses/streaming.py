"""`StreamingResponse`: a body that is made while it is sent."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import anyio
import anyio.lowlevel

from framework._defaults import CHUNKS_BETWEEN_CHECKPOINTS
from framework.background import BackgroundTask
from framework.concurrency import iterate_in_threadpool
from framework.exceptions import ClientDisconnect
from framework.responses._watching import (
    run_while_connected,
    share_receive,
    wait_for_disconnect,
)
from framework.responses.base import DenialSend, Response
from framework.types import Message, Receive, Scope, Send

__all__ = [
    "BYTES",
    "AsyncContentStream",
    "Content",
    "ContentStream",
    "StreamingResponse",
    "SyncContentStream",
    "iterate",
]

T = TypeVar("T")

# What is sent as it is; anything else has to be text.
BYTES: Final = (bytes, bytearray, memoryview)

Content = str | bytes | memoryview
SyncContentStream = Iterable[Content]
AsyncContentStream = AsyncIterable[Content]
ContentStream = AsyncContentStream | SyncContentStream


class StreamingResponse(Response):
    """Send what an (async) iterable gives, chunk by chunk.

    When the client goes away the iterable is closed, wherever it waits. A plain iterable is advanced
    in a worker thread, a list or a tuple is not: it cannot block.
    """

    body_iterator: AsyncContentStream

    def __init__(
        self,
        content: ContentStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.body_iterator = iterate(content)
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        self.background = background
        self.init_headers(headers)

    async def listen_for_disconnect(self, receive: Receive) -> None:
        """Return when the client has gone."""
        await wait_for_disconnect(receive)

    async def stream_response(self, send: Send) -> None:
        """Send head, chunks and end."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        until_checkpoint = CHUNKS_BETWEEN_CHECKPOINTS
        try:
            async for chunk in self.body_iterator:
                body = chunk if isinstance(chunk, BYTES) else chunk.encode(self.charset)
                await send({"type": "http.response.body", "body": body, "more_body": True})
                until_checkpoint -= 1
                if not until_checkpoint:
                    await anyio.lowlevel.checkpoint()
                    until_checkpoint = CHUNKS_BETWEEN_CHECKPOINTS
        except BaseException:
            await self._close_iterator()
            raise
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _close_iterator(self) -> None:
        """Run the iterator's `finally` blocks now, not when it is collected."""
        aclose = getattr(self.body_iterator, "aclose", None)
        if aclose is not None:
            with anyio.CancelScope(shield=True):
                await aclose()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self.stream_response(DenialSend(send))
        elif not tells_disconnect(scope):
            if _may_have_body(scope):
                receive = share_receive(scope, receive)
            await self._stream_while_connected(receive, _EndingSend(send))
        elif _may_have_body(scope):
            await self.stream_response(_TellingSend(send))
        elif not await self._stream_while_connected(receive, _TellingSend(send)):
            raise ClientDisconnect
        if self.background is not None:
            await self.background()

    async def _stream_while_connected(self, receive: Receive, send: _EndingSend) -> bool:
        async def watch() -> None:
            await self.listen_for_disconnect(receive)
            if send.has_ended:
                # So a server says that the response is complete. Layers further out may be at it still.
                await anyio.sleep_forever()

        return await run_while_connected(self.stream_response(send), watch)


class _EndingSend:
    """Notes that the last message has been sent on: `has_ended`."""

    __slots__ = ("has_ended", "send")

    def __init__(self, send: Send) -> None:
        self.send = send
        self.has_ended = False

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.body":
            self.has_ended = not message.get("more_body", False)
        return self.send(message)


class _TellingSend(_EndingSend):
    """Raises `ClientDisconnect` for the OSError of `send`; that of an iterator is another matter."""

    __slots__ = ()

    async def __call__(self, message: Message) -> None:
        try:
            await super().__call__(message)
        except OSError:
            raise ClientDisconnect from None


def iterate(content: AsyncIterable[T] | Iterable[T]) -> AsyncIterable[T]:
    """Return an async iterable over an iterable of either kind."""
    if isinstance(content, AsyncIterable):
        return content
    if isinstance(content, list | tuple):
        return _iterate_items(content)
    return iterate_in_threadpool(content)


async def _iterate_items(items: Sequence[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


def tells_disconnect(scope: Scope) -> bool:
    """Say whether `send` raises OSError once the client has gone, as it does since ASGI 2.4."""
    version: str = scope.get("asgi", {}).get("spec_version", "2.0")
    # PERF: all versions there are compare as texts; numbers of two digits are taken apart.
    return version >= "2.4" if len(version) == 3 else _parse_version(version) >= (2, 4)


def _parse_version(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _may_have_body(scope: Scope) -> bool:
    """Say whether the stream may yet read a body, which a second reader would take from it."""
    if scope.get("http_version", "1.1") >= "2" and scope.get("method") not in ("GET", "HEAD"):
        return True  # a body needs no field there (RFC 9113 section 8.1)
    return any(
        name in (b"content-length", b"transfer-encoding") for name, _ in scope.get("headers", ())
    )
