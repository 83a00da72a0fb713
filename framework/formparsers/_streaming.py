"""Multipart forms part by part, each in chunks as they arrive: nothing is kept."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable
from typing import final

from framework._defaults import MAX_FORM_FIELDS, MAX_FORM_FILES, MAX_FORM_PART_BYTES
from framework._http.filenames import find_safe_filename
from framework.datastructures import Headers
from framework.exceptions import MultiPartException
from framework.formparsers._parts import PartsParser

__all__ = ["MultipartStream", "StreamedPart"]


@final
class StreamedPart:
    """A part of a form that is still arriving: `async for chunk in part`, or `await part.read()`.

    It can be read until the next part is asked for; what is not read by then is dropped.

    Attributes:
        name: the name of the field.
        filename: the name that the client gave to the file, unchecked; None for a field.
        headers: the header fields of the part.
        is_complete: all of it has been read.
    """

    __slots__ = ("_stream", "filename", "headers", "is_complete", "name")

    def __init__(
        self, stream: MultipartStream, name: str, filename: str | None, headers: Headers
    ) -> None:
        self._stream = stream
        self.name = name
        self.filename = filename
        self.headers = headers
        self.is_complete = False

    @property
    def content_type(self) -> str | None:
        """The media type that the client gave."""
        return self.headers.get("content-type")

    @property
    def safe_filename(self) -> str | None:
        """The client's file name as one harmless path component, None when nothing usable is left."""
        return find_safe_filename(self.filename)

    def __aiter__(self) -> StreamedPart:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._stream.read_chunk(self)
        if chunk is None:
            raise StopAsyncIteration
        return chunk

    async def read(self, limit: int = MAX_FORM_PART_BYTES) -> bytes:
        """Return the rest of the part.

        Raises:
            MultiPartException: it is longer than `limit` bytes, or the form is malformed.
        """
        chunks: list[bytes] = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if size > limit:
                raise MultiPartException(f"Part exceeded maximum size of {limit // 1024}KB.")
            chunks.append(chunk)
        return b"".join(chunks)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r}, filename={self.filename!r})"


class MultipartStream(PartsParser):
    """The parts of a multipart form, in the order in which they arrive: `async for part in stream`.

    Args:
        headers: the header fields of the request, the boundary in them.
        stream: the chunks of the body.
        max_files: the largest number of files.
        max_fields: the largest number of fields that are no files.
    """

    def __init__(
        self,
        headers: Headers,
        stream: AsyncIterable[bytes],
        *,
        max_files: float = MAX_FORM_FILES,
        max_fields: float = MAX_FORM_FIELDS,
    ) -> None:
        super().__init__(headers, stream, max_files, max_fields)
        self._chunks = aiter(stream)
        # What was parsed and not asked for: parts, their chunks, and None where one ends.
        self._events: deque[StreamedPart | bytes | None] = deque()
        # The part that can be read.
        self._open: StreamedPart | None = None
        self._is_complete = False

    def on_headers_finished(self) -> None:
        """Take the end of the header fields of a part."""
        filename = self._open_part()
        part = self._current_part
        headers = Headers(raw=part.item_headers)
        self._events.append(StreamedPart(self, part.field_name, filename, headers))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the content of a part."""
        self._events.append(data[start:end])

    def on_part_end(self) -> None:
        """Take the end of a part."""
        self._events.append(None)

    def __aiter__(self) -> MultipartStream:
        return self

    async def __anext__(self) -> StreamedPart:
        self._open = None
        while not self._is_complete:
            event = await self._next_event()
            if isinstance(event, StreamedPart):
                self._open = event
                return event
        raise StopAsyncIteration

    async def read_chunk(self, part: StreamedPart) -> bytes | None:
        """Return the next chunk of the part, None at its end.

        Raises:
            RuntimeError: a later part has been asked for.
        """
        if part.is_complete:
            return None
        if part is not self._open:
            raise RuntimeError(f"{part!r} is gone: read a part before the next one is asked for")
        event = await self._next_event()
        if isinstance(event, bytes):
            return event
        part.is_complete = True
        return None

    async def _next_event(self) -> StreamedPart | bytes | None:
        if self._library is None:
            await self._start()
        while not self._events:
            chunk = await anext(self._chunks, None)
            if chunk is None:
                self._finish()
                self._is_complete = True
                return None
            self._feed(chunk)
        return self._events.popleft()
