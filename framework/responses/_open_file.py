"""One file whose blocking calls are made in threads; it is closed whatever happens to its task."""

from __future__ import annotations

import io
import os
import stat
from typing import Any, Final

import anyio

from framework.concurrency import file_threads

# Opening a named pipe would wait for its other end.
OPEN_FLAGS: Final = getattr(os, "O_NONBLOCK", 0)

# A file that is cut while its beginning is read is measured and read again, this often at most.
_TRIES: Final = 3


class OpenFile:
    """A regular file, opened once: size, age and content are those of one and the same file.

    Args:
        path: the file.

    Raises:
        RuntimeError: from `open`: there is no such file or it is not a regular one; from `read`: it
            has become shorter than it was.
    """

    __slots__ = ("_ahead", "_file", "_is_abandoned", "_stat_result", "path", "size")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.size = 0
        self._file: io.FileIO | None = None
        self._ahead: bytes | None = None
        self._stat_result: os.stat_result | None = None
        self._is_abandoned = False

    async def open(self, ahead: int | None) -> os.stat_result:
        """Open the file and return what is known of it.

        PERF: one thread hop does all there is to do for a file that fits into `ahead`.

        Args:
            ahead: bytes to read from the beginning; None when nothing will be read at all.
        """
        if self._stat_result is not None:
            return self._stat_result
        return await file_threads.run(self.open_now, ahead)

    def open_now(self, ahead: int | None) -> os.stat_result:
        """Open the file as `open` does, in the thread that the caller is in.

        What is open already stays open: `open` then returns at once, whatever it is asked for.

        Raises:
            OSError: the system refuses to open it.
        """
        file = self._file = self._open_regular()
        try:
            self._stat_result = result = self._read_ahead(file, ahead or 0)
        except BaseException:
            file.close()
            raise
        if ahead is None or self._is_abandoned or (ahead and ahead >= self.size):
            file.close()
        return result

    @property
    def content(self) -> bytes | None:
        """All of the file, when all of it has been read ahead and nothing was handed out yet."""
        is_whole = self._ahead is not None and len(self._ahead) == self.size
        return self._ahead if is_whole else None

    async def read(self, start: int, count: int, *, is_last: bool) -> bytes:
        """Return up to `count` bytes from `start` on; with `is_last`, all that is left to read."""
        if start == 0 and self._ahead is not None:
            chunk, self._ahead = self._ahead, None
            return chunk
        return await file_threads.run(self._read, start, count, is_last) if count else b""

    async def aclose(self) -> None:
        """Close the file, also in a cancelled task and while it is still being opened."""
        self._is_abandoned = True
        if self._file is not None and not self._file.closed:
            with anyio.CancelScope(shield=True):
                await file_threads.run(self._file.close)

    @property
    def is_closed(self) -> bool:
        """Whether everything has been read that there was to read."""
        return self._file is None or self._file.closed

    def _read_ahead(self, file: io.FileIO, ahead: int) -> os.stat_result:
        for _ in range(_TRIES):
            result = os.fstat(file.fileno())
            if not stat.S_ISREG(result.st_mode):
                raise RuntimeError(f"File at path {self.path} is not a file.")
            self.size = result.st_size
            if not ahead:
                return result
            file.seek(0)
            self._ahead = file.read(min(ahead, self.size))
            if len(self._ahead) == min(ahead, self.size):
                return result
        raise RuntimeError(f"File at path {self.path} is shorter than expected.")

    def _open_regular(self) -> io.FileIO:
        try:
            return io.FileIO(self.path, opener=self._open_descriptor)
        except FileNotFoundError:
            raise RuntimeError(f"File at path {self.path} does not exist.") from None
        except OSError:
            # A directory or a socket; what else may be wrong with a regular file is told as it is.
            if stat.S_ISREG(os.stat(self.path).st_mode):  # noqa: PTH116 -- saves importing pathlib
                raise
            raise RuntimeError(f"File at path {self.path} is not a file.") from None

    def _open_descriptor(self, path: str, flags: int) -> int:
        return os.open(path, flags | OPEN_FLAGS)

    def _read(self, start: int, count: int, is_last: bool) -> bytes:
        file: Any = self._file
        file.seek(start)
        chunk: bytes = file.read(count)
        if count and not chunk:
            raise RuntimeError(f"File at path {self.path} is shorter than expected.")
        if is_last and len(chunk) == count:
            file.close()
        return chunk


class MemoryFile:
    """A file whose content is in memory: as an `OpenFile`, without any call that blocks.

    Any number of responses may read it at once.
    """

    __slots__ = ("_content", "_stat_result", "size")

    is_closed = True

    def __init__(self, content: bytes, stat_result: os.stat_result) -> None:
        self._content = content
        self._stat_result = stat_result
        self.size = len(content)

    async def open(self, ahead: int | None) -> os.stat_result:
        """Return what is known of the file."""
        return self._stat_result

    async def read(self, start: int, count: int, *, is_last: bool) -> bytes:
        """Return `count` bytes from `start` on."""
        return self._content[start : start + count]

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""
