"""`Request`: an HTTP request, read as far as the handler asks for it."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, NoReturn

import anyio
import msgspec

from framework._connection import SHARED_RECEIVE_SCOPE_KEY, HTTPConnection, StateT
from framework._defaults import (
    MAX_BUFFERED_BODY_BYTES,
    MAX_FORM_BYTES,
    MAX_FORM_FIELDS,
    MAX_FORM_FILES,
    MAX_FORM_PART_BYTES,
    MAX_KEPT_FORM_BYTES,
)
from framework._http.cookies import parse_cookies
from framework._http.json_errors import explain_json_error
from framework.datastructures import (  # noqa: F401 - packages import them from here (fastapi-pagination)
    URL,
    Address,
    FormData,
    Headers,
    QueryParams,
    State,
)
from framework.exceptions import ClientDisconnect, RequestBodyTooLarge
from framework.formparsers import FormParser, MultiPartParser, MultipartStream
from framework.types import Message, Receive, Scope, Send

__all__ = [
    "ClientDisconnect",
    "HTTPConnection",
    "Request",
    "cookie_parser",
    "empty_receive",
    "empty_send",
    "explain_json_error",
]

_parse_json = msgspec.json.Decoder().decode

SERVER_PUSH_HEADERS_TO_COPY = {
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "user-agent",
}

# Set on the scope while a body limit is in force (bytes): see `middleware.body_limit`.
MAX_BODY_SIZE_SCOPE_KEY = "starlette.max_body_size"

cookie_parser = parse_cookies


async def empty_receive() -> NoReturn:
    """Stand in for `receive` where a request was made without one."""
    raise RuntimeError("This request was created without `receive`: its body cannot be read")


async def empty_send(message: Message) -> NoReturn:
    """Stand in for `send` where a request was made without one."""
    raise RuntimeError(
        f"Send channel has not been made available: {message['type']!r} needs Request(..., send=send)"
    )


class Request(HTTPConnection[StateT]):
    """An HTTP request. The body may be read as bytes, JSON, a form or a stream, in any order and repeatedly.

    `stream()` and `multipart()` keep nothing, so nothing can follow them; a form larger than
    `MAX_KEPT_FORM_BYTES` leaves no body behind either: read `body()` before it.
    """

    # Class-level defaults: most requests never change them, so `__init__` need not set them.
    _stream_consumed = False
    _is_disconnected = False
    # Messages that `is_disconnected` met before the body was read.
    _held: Sequence[Message] = ()
    _held_bytes = 0
    # The chunks that `form` leaves behind; None where the body is gone.
    _kept: Sequence[bytes] | None = None
    _form: FormData | None = None
    _body: bytes
    _json: Any

    def __init__(
        self, scope: Scope, receive: Receive = empty_receive, send: Send = empty_send
    ) -> None:
        if scope["type"] != "http":
            raise ValueError(f"scope type {scope['type']!r} is no HTTP request")
        self.scope = scope
        self._receive = receive
        self._send = send

    @property
    def method(self) -> str:
        """The method in upper case, such as `GET`."""
        method: str = self.scope["method"]
        return method

    @property
    def receive(self) -> Receive:
        """The ASGI channel that the body comes from."""
        shared = self.scope.get(SHARED_RECEIVE_SCOPE_KEY)
        if shared is None or shared.source != self._receive:
            return self._receive
        # A response that watches its client receives too: what it meets of the body is kept there.
        receive: Receive = shared.receive
        return receive

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Iterate over the body as it arrives; ends with an empty chunk. Nothing is kept.

        Raises:
            ClientDisconnect: the client went away before the body was complete.
            RuntimeError: the body was streamed before and is gone.
        """
        body = self._find_read_body()
        if body is not None:
            yield body
        else:
            while (chunk := await self._next_chunk()) is not None:
                yield chunk
        yield b""

    def _find_read_body(self) -> bytes | None:
        """Return the body if it was read and kept, None if it is still to be received.

        Raises:
            RuntimeError: it was read and is gone.
        """
        try:
            return self._body
        except AttributeError:
            pass
        if not self._stream_consumed:
            return None
        if self._kept is None:
            raise RuntimeError("Stream consumed")
        self._body = b"".join(self._kept)
        self._kept = None
        return self._body

    async def _next_chunk(self) -> bytes | None:
        """Return the next chunk of the body that is not empty, None at its end."""
        while not self._stream_consumed:
            if self._held:
                message, *self._held = self._held
            else:
                message = await self.receive()
            if message["type"] == "http.request":
                if not message.get("more_body", False):
                    self._stream_consumed = True
                chunk: bytes = message.get("body", b"")
                if chunk:
                    return chunk
            elif message["type"] == "http.disconnect":
                self._is_disconnected = True
                raise ClientDisconnect
        return None

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            RequestBodyTooLarge: it is larger than the limit in force, or than
                `MAX_BUFFERED_BODY_BYTES` where no `max_body_size` is set.
            ClientDisconnect: the client went away before the body was complete.
        """
        try:
            return self._body
        except AttributeError:
            pass
        self._body = await self._read_body()
        return self._body

    async def _read_body(self) -> bytes:
        # Where a `max_body_size` is set, `receive` itself keeps it.
        limit = None if MAX_BODY_SIZE_SCOPE_KEY in self.scope else MAX_BUFFERED_BODY_BYTES
        chunks: list[bytes] = []
        size = 0
        async with aclosing(self.stream()) as stream:
            async for chunk in stream:
                size += len(chunk)
                if limit is not None and size > limit:
                    raise RequestBodyTooLarge(limit)
                chunks.append(chunk)
        return b"".join(chunks)

    async def json(self) -> Any:
        """Return the body parsed as JSON (RFC 8259).

        Raises:
            JSONDecodeError: the body is not JSON; answered with 400 unless caught.
        """
        try:
            return self._json
        except AttributeError:
            pass
        body = await self.body()
        try:
            self._json = _parse_json(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
            raise explain_json_error(body, exc) from None
        return self._json

    def form(
        self,
        *,
        max_files: int | float = MAX_FORM_FILES,  # noqa: PYI041
        max_fields: int | float = MAX_FORM_FIELDS,  # noqa: PYI041
        max_part_size: int = MAX_FORM_PART_BYTES,
    ) -> FormOpening:
        """Return the form: `form = await request.form()`, or `async with request.form() as form`.

        The second closes its files at the end of the block. A body that is no form is an empty one.

        Args:
            max_files: the largest number of files.
            max_fields: the largest number of fields that are no files.
            max_part_size: the largest size of such a field, in bytes.

        Raises:
            MultiPartException: the form is malformed, cut off or over a limit; answered with 400
                unless caught.
            RequestBodyTooLarge: it is over `max_body_size`, or `MAX_FORM_BYTES` where none is set, or
                its text is over `MAX_FORM_BUFFERED_BYTES`.
            ClientDisconnect: the client went away before the form was complete.
        """
        return FormOpening(functools.partial(self._read_form, max_files, max_fields, max_part_size))

    async def _read_form(self, max_files: float, max_fields: float, max_part_size: int) -> FormData:
        if self._form is not None:
            return self._form
        headers = self.headers
        media_type = headers.get("content-type", "").partition(";")[0].strip(" \t").lower()
        if media_type not in {"multipart/form-data", "application/x-www-form-urlencoded"}:
            self._form = FormData()
            return self._form
        # Where a `max_body_size` is set, `receive` itself keeps it.
        limit = None if MAX_BODY_SIZE_SCOPE_KEY in self.scope else MAX_FORM_BYTES
        body = BodyChunks(self._find_read_body(), self._next_chunk, limit)
        parser: FormParser | MultiPartParser
        if media_type == "multipart/form-data":
            parser = MultiPartParser(
                headers,
                body,
                max_files=max_files,
                max_fields=max_fields,
                max_part_size=max_part_size,
            )
        else:
            parser = FormParser(headers, body, max_fields=max_fields, max_part_size=max_part_size)
        self._form = await parser.parse()
        self._kept = body.kept
        return self._form

    def multipart(
        self, *, max_files: float = MAX_FORM_FILES, max_fields: float = MAX_FORM_FIELDS
    ) -> MultipartStream:
        """Return the parts of a multipart form as they arrive; nothing is kept.

            async for part in request.multipart():
                async for chunk in part: ...

        Its size has no limit but `max_body_size`. Raises, while it is iterated over, what `form`
        raises; `MultiPartException` also for a body that is no multipart form.
        """
        body = BodyChunks(self._find_read_body(), self._next_chunk, None)
        return MultipartStream(self.headers, body, max_files=max_files, max_fields=max_fields)

    async def close(self) -> None:
        """Close the files of the form, if it was read."""
        if self._form is not None:
            await self._form.close()

    async def is_disconnected(self) -> bool:
        """Tell whether the client has gone; does not wait. What it finds of the body is kept."""
        if not self._is_disconnected and self._held_bytes <= MAX_BUFFERED_BODY_BYTES:
            message: Message = {}
            with anyio.CancelScope() as scope:
                # A cancelled scope ends the wait at once unless a message is there already.
                scope.cancel()
                message = await self.receive()
            if message.get("type") == "http.disconnect":
                self._is_disconnected = True
            elif message and not self._stream_consumed:
                self._held = [*self._held, message]
                self._held_bytes += len(message.get("body", b""))
        return self._is_disconnected

    async def send_push_promise(self, path: str) -> None:
        """Announce that `path` will be pushed (HTTP/2), where the server offers it."""
        if "http.response.push" in self.scope.get("extensions", {}):
            fields = [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name in sorted(SERVER_PUSH_HEADERS_TO_COPY)
                for value in self.headers.getlist(name)
            ]
            await self._send({"type": "http.response.push", "path": path, "headers": fields})

    async def send_early_hints(self, link: str, /, *additional_links: str) -> None:
        """Send `103 Early Hints` with these `Link` values (RFC 8297), where the server offers it."""
        if "http.response.early_hint" in self.scope.get("extensions", {}):
            links = [value.encode("latin-1") for value in (link, *additional_links)]
            await self._send({"type": "http.response.early_hint", "links": links})


class FormOpening:
    """A form that is read when this is awaited or entered; leaving it closes the files."""

    __slots__ = ("_form", "_read")

    _form: FormData

    def __init__(self, read: Callable[[], Coroutine[Any, Any, FormData]]) -> None:
        self._read = read

    def __await__(self) -> Generator[Any, None, FormData]:
        return self._read().__await__()

    async def __aenter__(self) -> FormData:
        self._form = await self._read()
        return self._form

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._form.close()


class BodyChunks:
    """The body of a request for a form parser: counted, and `kept` as long as it is small.

    No generator: one that is left half-way has to be closed, and a form may be left at any part.
    """

    __slots__ = ("_limit", "_ready", "_receive", "_size", "kept")

    def __init__(
        self, ready: bytes | None, receive: Callable[[], Awaitable[bytes | None]], limit: int | None
    ) -> None:
        # What was read of the body before; None while it is still to be received.
        self._ready = None if ready is None else iter((ready,))
        self._receive = receive
        self._limit = limit
        self._size = 0
        self.kept: list[bytes] | None = []

    def __aiter__(self) -> BodyChunks:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._receive() if self._ready is None else next(self._ready, None)
        if chunk is None:
            raise StopAsyncIteration
        self._size += len(chunk)
        if self._limit is not None and self._size > self._limit:
            raise RequestBodyTooLarge(self._limit)
        if self.kept is not None:
            self.kept.append(chunk)
            if self._size > MAX_KEPT_FORM_BYTES:
                self.kept = None
        return chunk
