"""One HTTP request and its response as ASGI messages; everything here runs in the app's loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NoReturn

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from framework.testclient._httpx import httpx2
from framework.types import ASGIApp, Message, Scope

RawHeaders = list[tuple[bytes, bytes]]


class Exchange:
    """Plays the server for one request and keeps what the app answers.

    A response that breaks the ASGI specification is an `AssertionError`: the test has failed.
    """

    __slots__ = (
        "_app",
        "_cancel_scope",
        "_chunks",
        "_complete",
        "_ended",
        "_has_body_ended",
        "_has_request_ended",
        "_is_aborted",
        "_scope",
        "_sent",
        "body",
        "debug",
        "expects_trailers",
        "headers",
        "request",
        "status",
        "trailers",
    )

    def __init__(self, app: ASGIApp, scope: Scope, request: httpx2.Request) -> None:
        self._app = app
        self._scope = scope
        self.request = request
        self._chunks: Iterator[bytes] | AsyncIterator[bytes] | None = None
        self._sent: list[bytes] = []
        self._cancel_scope: anyio.CancelScope | None = None
        self._is_aborted = False
        self._has_request_ended = False
        self._has_body_ended = False
        self.status: int | None = None
        self.headers: RawHeaders = []
        self.body: list[bytes] = []
        self.expects_trailers = False
        self.trailers: RawHeaders = []
        self.debug: dict[str, Any] | None = None

    async def run(self) -> None:
        """Call the app; return when it has returned or was aborted, raise what it raises."""
        self._complete = anyio.Event()
        self._ended = anyio.Event()
        try:
            with anyio.CancelScope() as self._cancel_scope:
                if not self._is_aborted:
                    await self._app(self._scope, self.receive, self.send)
        finally:
            self._ended.set()

    async def abort(self) -> None:
        """Cancel the app and wait until it has gone; an app that has not begun never will."""
        self._is_aborted = True
        if self._cancel_scope is not None:
            self._cancel_scope.cancel()
            await self._ended.wait()

    async def end(self) -> None:
        """Wait for an app that has sent its whole response, cancel any other."""
        if self._complete.is_set():
            await self._ended.wait()
        else:
            await self.abort()

    async def receive(self) -> Message:
        """Give the app the request; after that, wait for the end of the response."""
        if self._has_request_ended:
            # No wait when it is complete: an app that only looks for a message is to find this one.
            if not self._complete.is_set():
                await self._complete.wait()
            return {"type": "http.disconnect"}
        if "transfer-encoding" in self.request.headers:
            return await self._read_chunk()
        self._has_request_ended = True
        return {"type": "http.request", "body": self.request.read(), "more_body": False}

    async def _read_chunk(self) -> Message:
        """Take the next chunk of a body of unknown length, when the app asks for it."""
        if self._chunks is None:
            stream = self.request.stream
            if isinstance(stream, httpx2.SyncByteStream):
                self._chunks = iter(stream)
            else:
                self._chunks = aiter(stream)
        while (chunk := await take_next(self._chunks)) is not None:
            if chunk:
                self._sent.append(chunk)
                return {"type": "http.request", "body": chunk, "more_body": True}
        # An iterator is exhausted now; a redirect may have to send the same body once more.
        self.request.stream = httpx2.ByteStream(b"".join(self._sent))
        self.request.read()
        self._has_request_ended = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """Take a message of the response."""
        match message["type"]:
            case "http.response.start":
                self._take_start(message)
            case "http.response.body":
                await self._take_body(message)
            case "http.response.trailers":
                self._take_trailers(message)
            case "http.response.debug":
                self.debug = message["info"]
            case unknown if unknown not in (self._scope.get("extensions") or ()):
                _fail(f"sent {unknown!r}, which is no message of an HTTP response")

    def _take_start(self, message: Message) -> None:
        if self.status is not None:
            _fail("sent a second 'http.response.start'")
        headers = [(name, value) for name, value in message.get("headers", ())]
        for field in headers:
            if not all(isinstance(part, bytes) for part in field):
                _fail(f"sent the header {field!r}; names and values are bytes")
        self.headers = headers
        self.expects_trailers = message.get("trailers", False)
        self.status = message["status"]

    async def _take_body(self, message: Message) -> None:
        if self.status is None:
            _fail("sent 'http.response.body' before 'http.response.start'")
        if self._has_body_ended:
            _fail("sent 'http.response.body' after body completed")
        self._has_body_ended = not message.get("more_body", False)
        chunk = bytes(message.get("body", b""))
        await self._deliver(chunk, is_last=self._has_body_ended and not self.expects_trailers)

    def _take_trailers(self, message: Message) -> None:
        if not self.expects_trailers:
            _fail("sent 'http.response.trailers' without declaring trailers in the start message")
        if not self._has_body_ended:
            _fail("sent 'http.response.trailers' before body completed")
        if self._complete.is_set():
            _fail("sent 'http.response.trailers' after response completed")
        self.trailers.extend(message.get("headers", ()))
        if not message.get("more_trailers", False):
            self._complete.set()

    async def _deliver(self, chunk: bytes, *, is_last: bool) -> None:
        if chunk:
            self.body.append(chunk)
        if is_last:
            self._complete.set()


class LiveExchange(Exchange):
    """An exchange whose body is read while the app runs: each part waits until it is read.

    `on_start` is called once, as soon as the response has started or never will.
    """

    __slots__ = ("_has_told", "_on_start", "_reader", "_writer")

    _reader: MemoryObjectReceiveStream[tuple[bytes, bool]]
    _writer: MemoryObjectSendStream[tuple[bytes, bool]]

    def __init__(
        self, app: ASGIApp, scope: Scope, request: httpx2.Request, on_start: Callable[[], object]
    ) -> None:
        super().__init__(app, scope, request)
        self._on_start = on_start
        self._has_told = False

    async def run(self) -> None:
        """Call the app; return and raise as any exchange."""
        self._writer, self._reader = anyio.create_memory_object_stream[tuple[bytes, bool]](0)
        try:
            with self._writer, self._reader:
                await super().run()
        finally:
            self._tell_start()

    async def next_chunk(self) -> bytes | None:
        """Return the next part of the body, None when the app has ended."""
        try:
            chunk, is_last = await self._reader.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            return None
        if is_last:
            self._complete.set()
        return chunk

    def _take_start(self, message: Message) -> None:
        super()._take_start(message)
        self._tell_start()

    def _tell_start(self) -> None:
        if not self._has_told:
            self._has_told = True
            self._on_start()

    async def _deliver(self, chunk: bytes, *, is_last: bool) -> None:
        await self._writer.send((chunk, is_last))


async def take_next(chunks: Iterator[bytes] | AsyncIterator[bytes]) -> bytes | None:
    """Return the next chunk, None after the last."""
    if isinstance(chunks, Iterator):
        return next(chunks, None)
    return await anext(chunks, None)


def _fail(what: str) -> NoReturn:
    raise AssertionError(f"The app {what}.")
