"""One file whose blocking calls are made in threads; it is closed whatever happens to its task."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import Any, Final

import anyio

from framework.concurrency import file_threads

# Opening a named pipe would wait for its other end.
_OPEN_FLAGS: Final = getattr(os, "O_NONBLOCK", 0)


class OpenFile:
    """A regular file, opened once: size, age and content are those of one and the same file.

    Args:
        path: the file.

    Raises:
        RuntimeError: from `open`: there is no such file or it is not a regular one; from `read`: it
            has become shorter than it was.
    """

    __slots__ = ("_ahead", "_file", "_is_abandoned", "path", "size")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.size = 0
        self._file: io.FileIO | None = None
        self._ahead: bytes | None = None
        self._is_abandoned = False

    async def open(self, ahead: int | None) -> os.stat_result:
        """Open the file and return what is known of it.

        PERF: one thread hop does all there is to do for a file that fits into `ahead`.

        Args:
            ahead: bytes to read from the beginning; None when nothing will be read at all.
        """
        return await file_threads.run(self._open, ahead)

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

    def _open(self, ahead: int | None) -> os.stat_result:
        file = self._file = self._open_regular()
        try:
            result = os.fstat(file.fileno())
            if not stat.S_ISREG(result.st_mode):
                raise RuntimeError(f"File at path {self.path} is not a file.")
            self.size = result.st_size
            if ahead:
                self._ahead = self._read(0, min(ahead, self.size), is_last=False)
        except BaseException:
            file.close()
            raise
        if ahead is None or self._is_abandoned or (ahead and ahead >= self.size):
            file.close()
        return result

    def _open_regular(self) -> io.FileIO:
        try:
            return io.FileIO(self.path, opener=_open_at_once)
        except FileNotFoundError:
            raise RuntimeError(f"File at path {self.path} does not exist.") from None
        except OSError:
            # A directory or a socket; what else may be wrong with a regular file is told as it is.
            if stat.S_ISREG(Path(self.path).stat().st_mode):
                raise
            raise RuntimeError(f"File at path {self.path} is not a file.") from None

    def _read(self, start: int, count: int, is_last: bool) -> bytes:
        file: Any = self._file
        file.seek(start)
        chunk: bytes = file.read(count)
        if count and not chunk:
            raise RuntimeError(f"File at path {self.path} is shorter than expected.")
        if is_last and len(chunk) == count:
            file.close()
        return chunk


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | _OPEN_FLAGS)
