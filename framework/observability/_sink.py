"""Where log lines go: one write per line, and never an error for the one who logs."""

from __future__ import annotations

import os
from typing import TextIO

# A private name: what a test replaces on `os` does not apply to the log stream, which may block.
_write = os.write


class LineSink:
    """Writes each line to the descriptor of a stream with one call of the operating system.

    Nothing is buffered, so the last line before a `kill -9` is not lost; no lock is held, so a fork
    or a signal handler cannot meet one. Lines of several workers do not mix: a pipe takes a line of
    up to 4 KiB as a whole (POSIX), and Linux a longer one too while there is room for it.

    A stream without a descriptor (a buffer in a test) is written to as text. What cannot be written,
    because the reader has gone or the disk is full, is dropped and counted.
    """

    __slots__ = ("_fd", "_stream", "dropped")

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._fd = -1
        self.dropped = 0

    def open(self, stream: TextIO) -> None:
        """Send all further lines to `stream`."""
        self._stream = stream
        try:
            stream.flush()
            self._fd = stream.fileno()
        except (OSError, ValueError, AttributeError):
            self._fd = -1

    def write(self, line: bytes) -> None:
        """Write a line that ends with a newline. Never raises."""
        try:
            if self._fd < 0:
                self._write_text(line)
                return
            written = _write(self._fd, line)
            while written < len(line):
                written += _write(self._fd, line[written:])
        except (OSError, ValueError):
            self.dropped += 1

    def _write_text(self, line: bytes) -> None:
        if self._stream is not None:
            self._stream.write(line.decode("utf-8", "backslashreplace"))
            self._stream.flush()


class NamedOutput:
    """What structlog calls with a rendered line: the sink, under the name of one logger."""

    __slots__ = ("critical", "debug", "error", "info", "name", "warning")

    def __init__(self, sink: LineSink, name: str) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = sink.write
