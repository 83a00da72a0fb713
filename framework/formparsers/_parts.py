"""What both multipart parsers share: the way from chunks to parts and their header fields."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from framework._defaults import MAX_PART_HEADER_BYTES, MAX_PART_HEADERS
from framework.datastructures import Headers, UploadFile
from framework.exceptions import MultiPartException
from framework.formparsers._headers import decode_text, find_boundary, read_disposition
from framework.formparsers._library import load_library

# No client makes shorter boundaries. Data full of a short one costs the parser a Python step for each.
_SHORT_BOUNDARY_BYTES: Final = 32

_HEAD_END: Final = b"\r\n\r\n"

# What follows a boundary in the forms of browsers and most clients, up to the content of the part.
_USUAL_HEAD: Final = re.compile(
    rb"\r\nContent-Disposition: "
    rb'(form-data; name="[^"\\\r\n\0]*"(?:; filename="[^"\\\r\n\0]*")?)\r\n'
    rb"(?:Content-Type: ([^ \r\n\0][^\r\n\0]*)\r\n)?\r\n"
)


@dataclass
class MultipartPart:
    """A part as far as it has been read."""

    content_disposition: bytes | None = None
    field_name: str = ""
    data: bytearray = field(default_factory=bytearray)
    file: UploadFile | None = None
    item_headers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def take_usual_head(self, head: re.Match[bytes]) -> None:
        """Take the header fields that `_USUAL_HEAD` has found."""
        self.content_disposition, content_type = head.groups()
        self.item_headers.append((b"content-disposition", head[1]))
        if content_type is not None:
            self.item_headers.append((b"content-type", content_type))


class PartsParser:
    """Feeds python-multipart and reads the header fields of parts; subclasses take their data."""

    def __init__(
        self,
        headers: Headers,
        stream: AsyncIterable[bytes],
        max_files: float,
        max_fields: float,
    ) -> None:
        self.headers = headers
        self.stream = stream
        self.max_files = max_files
        self.max_fields = max_fields
        self._current_files = 0
        self._current_fields = 0
        self._current_part = MultipartPart()
        self._header_name = b""
        self._header_value = b""
        self._codec = "utf-8"
        # What ends a part; where it is short, it may be met only so often.
        self._delimiter = b""
        self._counts_delimiters = False
        self._delimiters_left = max_files + max_fields + 1
        self._library: Any = None
        # States of the parser: before the first boundary, in the content of a part.
        self._before = self._inside = -1
        # Holds methods of this object, so it is dropped at the end: no cycle keeps the form alive.
        self._parser: Any = None

    def on_part_begin(self) -> None:
        """Take a new part."""
        self._current_part = MultipartPart()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the name of a header field."""
        self._header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the value of a header field."""
        self._header_value += data[start:end]

    def on_header_end(self) -> None:
        """Take the end of a header field."""
        name, value = self._header_name.lower(), self._header_value
        self._header_name = self._header_value = b""
        # The value ends at CR LF; one alone would be a line end to whoever writes it elsewhere.
        if b"\n" in value or b"\0" in value:
            raise MultiPartException("A header field of a part holds a control character.")
        if name == b"content-disposition":
            if self._current_part.content_disposition is not None:
                raise MultiPartException("A part has two Content-Disposition header fields.")
            self._current_part.content_disposition = value
        self._current_part.item_headers.append((name, value))

    def on_end(self) -> None:
        """Take the end of the form."""

    def _open_part(self) -> str | None:
        """Count the part whose header fields are complete, name it, and return its file name."""
        part = self._current_part
        name, filename = read_disposition(self._library, part.content_disposition)
        part.field_name = decode_text(name, self._codec)
        if filename is None:
            self._current_fields += 1
            if self._current_fields > self.max_fields:
                raise MultiPartException(
                    f"Too many fields. Maximum number of fields is {self.max_fields}."
                )
            return None
        self._current_files += 1
        if self._current_files > self.max_files:
            raise MultiPartException(
                f"Too many files. Maximum number of files is {self.max_files}."
            )
        return decode_text(filename, self._codec)

    async def _start(self) -> None:
        """Load and set up python-multipart. Its callbacks are the `on_...` methods."""
        self._library = await load_library()
        states = self._library.MultipartState
        self._before, self._inside = int(states.START), int(states.PART_DATA)
        content_type = self.headers.get("content-type", "")
        boundary, self._codec = find_boundary(self._library, content_type)
        self._delimiter = b"\r\n--" + boundary
        self._counts_delimiters = len(boundary) < _SHORT_BOUNDARY_BYTES
        self._parser = self._library.MultipartParser(
            boundary,
            {name: getattr(self, name) for name in _CALLBACKS},
            max_header_count=MAX_PART_HEADERS,
            max_header_size=MAX_PART_HEADER_BYTES,
        )

    def _feed(self, chunk: bytes) -> None:
        """Parse a chunk. Raises `MultiPartException` when the form is malformed."""
        if self._counts_delimiters:
            self._delimiters_left -= chunk.count(self._delimiter)
            if self._delimiters_left < 0:
                raise MultiPartException("The form has more boundaries than it may have parts.")
        parser = self._parser
        start = 0
        if parser.state != self._inside:
            if parser.state == self._before:
                # Line ends before the first boundary mean nothing, however they are cut into chunks.
                chunk = chunk.lstrip(b"\r\n")
            # To where the content of a part may begin. A form can be cut anywhere.
            end = chunk.find(_HEAD_END) + len(_HEAD_END)
            if end >= len(_HEAD_END):
                self._write(chunk[:end])
                start = end
        if parser.state == self._inside and not parser.index:
            start = self._pass_parts(chunk, start)
        if start < len(chunk):
            self._write(chunk[start:])

    def _write(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except self._library.FormParserError as exc:
            raise MultiPartException("Invalid multipart data.") from exc

    def _pass_parts(self, chunk: bytes, start: int) -> int:
        """Take content, and parts whose header fields are the usual ones; return where they end.

        PERF: saves python-multipart's steps for each chunk of a large file and each usual part. It is
        correct as long as the parser is inside a part (`PART_DATA`) and has met no beginning of a
        delimiter (`index`): there it keeps nothing of what came before, and it is left in some part's
        content. The tests compare the two and cut forms at every byte.
        """
        size = len(self._delimiter)
        for end in self._find_delimiters(chunk, start):
            if end < start:
                continue  # its line end is that of the header fields
            if end > start:
                self.on_part_data(chunk, start, end)
            head = _USUAL_HEAD.match(chunk, end + size)
            if head is None or head.end() - end > MAX_PART_HEADER_BYTES:
                return end
            self.on_part_end()
            self.on_part_begin()
            self._current_part.take_usual_head(head)
            self.on_headers_finished()
            start = head.end()
        # Only the last CR can begin a delimiter that the next chunk completes.
        end = chunk.rfind(b"\r", max(start, len(chunk) - size + 1))
        if end < 0:
            end = len(chunk)
        if end > start:
            self.on_part_data(chunk, start, end)
        return end

    def _find_delimiters(self, chunk: bytes, start: int) -> Sequence[int]:
        """Return where delimiters begin, in order.

        PERF: CPython searches twice as fast backwards. A delimiter has one CR, its first byte, so none
        overlaps another, and no input makes the search quadratic.
        """
        found = chunk.rfind(self._delimiter, start)
        if found < 0:
            return ()
        places = []
        while found >= 0:
            places.append(found)
            found = chunk.rfind(self._delimiter, start, found)
        places.reverse()
        return places

    def on_headers_finished(self) -> None:
        """Take the end of the header fields of a part: for subclasses, as the two below."""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the content of a part."""

    def on_part_end(self) -> None:
        """Take the end of a part."""

    def _finish(self) -> None:
        """Check that the form is complete. Raises `MultiPartException` when it is not.

        A body without anything is a form without anything: nothing of it can have been lost.
        """
        parser, self._parser = self._parser, None
        if parser.state not in (self._before, self._library.MultipartState.END):
            raise MultiPartException("The form ends before its closing boundary.")


_CALLBACKS: Final = (
    "on_part_begin",
    "on_part_data",
    "on_part_end",
    "on_header_field",
    "on_header_value",
    "on_header_end",
    "on_headers_finished",
    "on_end",
)
