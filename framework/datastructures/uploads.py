"""`UploadFile` and `FormData`: what a form holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import BinaryIO

from framework._http.filenames import find_safe_filename
from framework.concurrency import file_threads
from framework.datastructures.headers import Headers
from framework.datastructures.multidict import ImmutableMultiDict

__all__ = ["FormData", "UploadFile"]


class UploadFile:
    """A file that the client sent.

    Args:
        file: where its bytes are; a `SpooledTemporaryFile` is used from the event loop as long as it is
            in memory, any other file from a thread.
        size: the number of bytes, counted on by `write`; None when it is not known.
        filename: the name that the client gave, unchecked: see `safe_filename`.
        headers: the header fields of the part.
    """

    # No __slots__: FastAPI writes a file into the answer to an invalid form by its `vars`.

    def __init__(
        self,
        file: BinaryIO,
        *,
        size: int | None = None,
        filename: str | None = None,
        headers: Headers | None = None,
    ) -> None:
        self.file = file
        self.size = size
        self.filename = filename
        self.headers = Headers() if headers is None else headers
        # Bytes that a spooled file keeps in memory; 0 is no limit, as that class has it.
        self._max_mem_size: int = getattr(file, "_max_size", 0)

    @property
    def content_type(self) -> str | None:
        """The media type that the client gave."""
        return self.headers.get("content-type")

    @property
    def safe_filename(self) -> str | None:
        """The client's file name as one harmless path component, None when nothing usable is left.

        It is not unique; see `find_safe_filename` for what it promises.
        """
        return find_safe_filename(self.filename)

    @property
    def _in_memory(self) -> bool:
        return not getattr(self.file, "_rolled", True)

    def _will_roll(self, size_to_add: int) -> bool:
        if not self._in_memory:
            return True
        return 0 < self._max_mem_size < self.file.tell() + size_to_add

    async def write(self, data: bytes) -> None:
        """Write at the current position."""
        if self._will_roll(len(data)):
            await file_threads.run(self.file.write, data)
        else:
            self.file.write(data)
        if self.size is not None:
            self.size += len(data)

    async def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes from the current position, all that is left by default."""
        if self._in_memory:
            return self.file.read(size)
        return await file_threads.run(self.file.read, size)

    async def seek(self, offset: int) -> None:
        """Go to `offset` bytes from the start."""
        if self._in_memory:
            self.file.seek(offset)
        else:
            await file_threads.run(self.file.seek, offset)

    async def close(self) -> None:
        """Close the file, which removes it if it is a temporary one."""
        if self._in_memory:
            self.file.close()
        else:
            await file_threads.run(self.file.close)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(filename={self.filename!r}, size={self.size!r}, "
            f"headers={self.headers!r})"
        )


class FormData(ImmutableMultiDict[str, UploadFile | str]):
    """The fields of a form: text and files."""

    __slots__ = ()

    def __init__(
        self,
        *args: FormData | Mapping[str, str | UploadFile] | list[tuple[str, str | UploadFile]],
        **kwargs: str | UploadFile,
    ) -> None:
        super().__init__(*args, **kwargs)

    async def close(self) -> None:
        """Close all files."""
        for _, value in self.multi_items():
            if isinstance(value, UploadFile):
                await value.close()
