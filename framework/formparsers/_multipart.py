"""Multipart forms as a whole: fields in memory, files in memory or on disk."""

from __future__ import annotations

from collections.abc import AsyncIterable, Sequence
from enum import Enum
from typing import Any, Final, cast

import anyio

from framework._defaults import (
    FILE_WRITE_BYTES,
    MAX_FILE_MEMORY_BYTES,
    MAX_FORM_BUFFERED_BYTES,
    MAX_FORM_FIELDS,
    MAX_FORM_FILES,
    MAX_FORM_PART_BYTES,
)
from framework.concurrency import file_threads
from framework.datastructures import FormData, Headers, UploadFile
from framework.exceptions import MultiPartException, RequestBodyTooLarge
from framework.formparsers._headers import decode_text
from framework.formparsers._library import load_module
from framework.formparsers._parts import PartsParser

__all__ = ["FormMessage", "MultiPartParser"]


_SPOOLED: Final = "framework.formparsers._spooled"
_COPIED_BYTES: Final = 32 * 1024


class FormMessage(Enum):
    """What a parser has met. Deprecated: nothing uses it."""

    FIELD_START = 1
    FIELD_NAME = 2
    FIELD_DATA = 3
    FIELD_END = 4
    END = 5


class MultiPartParser(PartsParser):
    """Parses a multipart form. Files over `spool_max_size` are written to disk in a thread.

    Args:
        headers: the header fields of the request, the boundary in them.
        stream: the chunks of the body.
        max_files: the largest number of files.
        max_fields: the largest number of fields that are no files.
        max_part_size: the largest size of such a field, in bytes.
    """

    spool_max_size = MAX_FILE_MEMORY_BYTES
    """The largest size of a file that stays in memory, in bytes."""
    max_part_size = MAX_FORM_PART_BYTES

    def __init__(
        self,
        headers: Headers,
        stream: AsyncIterable[bytes],
        *,
        max_files: int | float = MAX_FORM_FILES,  # noqa: PYI041
        max_fields: int | float = MAX_FORM_FIELDS,  # noqa: PYI041
        max_part_size: int = MAX_FORM_PART_BYTES,
    ) -> None:
        super().__init__(headers, stream, max_files, max_fields)
        self.max_part_size = max_part_size
        self.items: list[tuple[str, str | UploadFile]] = []
        # Bytes of complete fields and files that are in memory.
        self._buffered = 0
        # The open file: what came of it and is not written yet, and how much that is in bytes.
        self._pieces: list[bytes | memoryview] = []
        self._pending = 0
        # How much of it is written at a time; less than fits into memory stays there.
        self._write_at = max(FILE_WRITE_BYTES, self.spool_max_size)
        # Complete files that have to go to disk, with what is not written of them.
        self._to_disk: list[tuple[UploadFile, list[bytes | memoryview]]] = []
        self._files: list[UploadFile] = []
        # The class of files, which needs `tempfile`: loaded with the first form.
        self._make_file: Any = None

    def on_headers_finished(self) -> None:
        """Take the end of the header fields of a part."""
        filename = self._open_part()
        if filename is not None:
            part = self._current_part
            part.file = UploadFile(
                self._make_file(max_size=self.spool_max_size),
                size=0,
                filename=filename,
                headers=Headers(raw=part.item_headers),
            )
            self._files.append(part.file)

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of the content of a part."""
        part = self._current_part
        size = end - start
        if part.file is not None:
            self._pieces.append(memoryview(data)[start:end] if size < len(data) else data)
            self._pending += size
            return
        if len(part.data) + size > self.max_part_size:
            raise MultiPartException(
                f"Part exceeded maximum size of {self.max_part_size // 1024}KB."
            )
        self._buffered += size
        if self._buffered > MAX_FORM_BUFFERED_BYTES:
            raise RequestBodyTooLarge(MAX_FORM_BUFFERED_BYTES)
        part.data += data[start:end]

    def on_part_end(self) -> None:
        """Take the end of a part."""
        part = self._current_part
        upload = part.file
        if upload is None:
            self.items.append((part.field_name, decode_text(part.data, self._codec)))
            return
        self.items.append((part.field_name, upload))
        pieces, pending = self._pieces, self._pending
        self._pieces, self._pending = [], 0
        self._write_at = max(FILE_WRITE_BYTES, self.spool_max_size)
        is_small = not upload.size and pending <= self.spool_max_size
        upload.size = (upload.size or 0) + pending
        if is_small and self._buffered + pending <= MAX_FORM_BUFFERED_BYTES:
            self._buffered += pending
            # A small piece would keep the whole chunk that it came in.
            _get_file(upload).fill([b"".join(pieces)] if pending < _COPIED_BYTES else pieces)
        else:
            self._to_disk.append((upload, pieces))

    async def parse(self) -> FormData:
        """Read the body and return its fields and files.

        Raises:
            MultiPartException: the form is malformed, cut off or over a limit.
            RequestBodyTooLarge: its fields are over `MAX_FORM_BUFFERED_BYTES`.
        """
        try:
            await self._start()
            self._make_file = (await load_module(_SPOOLED)).SpooledFile
            async for chunk in self.stream:
                self._feed(chunk)
                if self._to_disk:
                    await self._write_complete()
                if self._pending > self._write_at:
                    await self._write_pending()
            self._finish()
        except BaseException:
            self._parser = None
            self._pieces.clear()
            with anyio.CancelScope(shield=True):
                await _close_files(self._files)
            raise
        return FormData(self.items)

    async def _write_complete(self) -> None:
        """Write what is left of complete files to disk."""
        for upload, pieces in self._to_disk:
            await file_threads.run(_get_file(upload).spool, pieces, rewind=True)
        self._to_disk.clear()

    async def _write_pending(self) -> None:
        """Write what came of the open file to disk, as it is too large for memory."""
        upload = cast("UploadFile", self._current_part.file)
        await file_threads.run(_get_file(upload).spool, self._pieces, rewind=False)
        upload.size = (upload.size or 0) + self._pending
        self._pieces.clear()
        self._pending = 0
        self._write_at = FILE_WRITE_BYTES


def _get_file(upload: UploadFile) -> Any:
    """Return the `SpooledFile` that the parser has made for an upload."""
    return upload.file


async def _close_files(uploads: Sequence[UploadFile]) -> None:
    """Close files at once: in a thread when one of them is on disk."""
    if any(upload.size for upload in uploads):
        await file_threads.run(_close_all, uploads)
    else:
        _close_all(uploads)


def _close_all(uploads: Sequence[UploadFile]) -> None:
    for upload in uploads:
        upload.file.close()
