"""Where the bytes of an uploaded file are. Loaded with the first form, for the sake of `tempfile`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from tempfile import SpooledTemporaryFile
from typing import Any


class SpooledFile(SpooledTemporaryFile[bytes]):
    """A file in memory, or without a name on disk; closed when the last reference goes.

    PERF: in memory it keeps the chunks as they came, and joins them when it is first used, which the
    property `_file` notices: everything in the base class goes through that attribute. That saves
    copying every byte twice.
    """

    _memory: Any = None
    _pieces: Sequence[bytes | memoryview] = ()

    @property
    def _file(self) -> Any:
        if self._pieces:
            self._memory = io.BytesIO(b"".join(self._pieces))
            self._pieces = ()
        return self._memory

    @_file.setter
    def _file(self, file: Any) -> None:
        self._memory = file

    def fill(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Take the whole content at once, into memory."""
        self._pieces = pieces

    def spool(self, pieces: Sequence[bytes | memoryview], rewind: bool) -> None:
        """Write to disk. Blocks: to be called in a thread."""
        self.rollover()
        for piece in pieces:
            self.write(piece)
        if rewind:
            self.seek(0)

    def close(self) -> None:
        """Close the file, which removes it from the disk."""
        self._pieces = ()
        super().close()

    def __del__(self) -> None:
        # Memory is None after an __init__ that failed.
        if self._memory is not None:
            self.close()
