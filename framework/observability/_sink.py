"""Where log lines go: one write per line, never an error and never a wait for the one who logs."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import stat
import sys
import termios
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TextIO

from framework.observability._limits import (
    LAST_LINES_SECONDS,
    MAX_WAITING_LOG_BYTES,
    SLOW_READER_SECONDS,
)
from framework.observability._storms import start_thread

# A private name: what a test replaces on `os` does not apply to the log stream.
_write = os.write


_LOOK_SECONDS: Final = 0.25


class LineSink:
    """Writes each line to the descriptor of a stream with one call of the operating system.

    While the reader keeps up nothing is buffered, so the last line before a `kill -9` is not lost.
    Lines of several workers do not mix: a pipe takes a line of up to 4 KiB as a whole or not at all
    (POSIX). A longer one is given to a pipe only when there is room for all of it and as much again,
    which other workers may take at the same moment (Linux; lines longer than about half a pipe, 30 KiB
    as a rule, wait until it is empty).

    When the pipe is full the reader gets `SLOW_READER_SECONDS` to go on. If it does not, lines wait in
    memory, `MAX_WAITING_LOG_BYTES` of them, and a thread writes them as soon as there is room; further
    lines are dropped. What cannot be written because the reader has gone or the disk is full is dropped,
    too. How many lines were dropped is said by a line, `describe_drops`, when lines are written again.

    Pipes and terminals are opened a second time for this: not to wait is a property that the two ends
    of a `dup` share, and others who write to the same standard output do not expect it. Where that is
    not possible (another user's pipe, no `/proc`), a write is only tried when there is room, and two
    writers that find the same room may have to wait. Files are waited for, as always.

    A stream without a descriptor (a buffer in a test) is written to as text.
    """

    def __init__(self) -> None:
        self.dropped = 0
        """Lines that were lost, in all."""
        self.describe_drops: Callable[[int], bytes] | None = None
        self._stream: TextIO | None = None
        self._fd = -1
        self._own_fd = -1
        self._socket: socket.socket | None = None
        self._poll: select.poll | None = None
        self._capacity = 0
        self._is_plain = False  # a descriptor that takes lines with nothing but a write
        self.reset()

    def reset(self) -> None:
        """Forget what waits: in a forked process that is for the parent to write."""
        self._lock = threading.RLock()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_draining = False
        self._is_begun = False  # of the first line that waits a part is written
        self._unsaid = 0

    def open(self, stream: TextIO) -> None:
        """Send all further lines to `stream`."""
        old_fd, old_socket = self._own_fd, self._socket
        self._stream = stream
        self._fd = self._own_fd = -1
        self._socket = self._poll = None
        self._capacity = 0
        self._is_plain = False
        try:
            stream.flush()
            self._open_descriptor(stream.fileno())
        except (OSError, ValueError, AttributeError):
            self._fd = -1
        if old_fd >= 0:
            os.close(old_fd)
        if old_socket is not None:
            old_socket.close()

    def write(self, line: bytes) -> None:
        """Write a line that ends with a newline. Never raises."""
        if self._waiting:
            self._wait(line)
            return
        written = 0
        # PERF: what nearly every line needs, without a call for the rest.
        if self._is_plain and not self._unsaid and len(line) <= select.PIPE_BUF:
            try:
                written = _write(self._fd, line)
            except OSError:
                written = 0  # tried again with more care
            if written == len(line):
                return
        self._write_carefully(line, written)

    def _write_carefully(self, line: bytes, written: int) -> None:
        try:
            if self._fd < 0:
                self._write_text(line)
                return
            while written < len(line):
                written += self._write_soon(line[written:] if written else line, begun=written > 0)
        except BlockingIOError:
            self._is_begun = self._is_begun or written > 0
            self._wait(line[written:])
        except (OSError, ValueError):
            self._drop(line)
        else:
            if self._unsaid:
                self._say_drops()

    def flush(self) -> None:
        """Give the reader a moment to take what waits: the process ends."""
        deadline = time.monotonic() + LAST_LINES_SECONDS
        while self._waiting and time.monotonic() < deadline:
            time.sleep(LAST_LINES_SECONDS / 50)

    def _open_descriptor(self, fd: int) -> None:
        mode = os.fstat(fd).st_mode
        self._fd = fd
        if stat.S_ISSOCK(mode):
            self._socket = socket.socket(fileno=os.dup(fd))
        elif stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
            try:
                self._fd = self._own_fd = os.open(f"/proc/self/fd/{fd}", flags)
            except OSError:
                self._poll = select.poll()
                self._poll.register(fd, select.POLLOUT)
            self._is_plain = self._poll is None
            if stat.S_ISFIFO(mode) and sys.platform == "linux":
                self._capacity = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
        else:
            self._is_plain = True

    def _write_soon(self, data: bytes, *, begun: bool) -> int:
        try:
            return self._write_now(data, begun=begun)
        except BlockingIOError:
            # A burst of lines, most of the time: the reader lives and is a little behind.
            self._await_room(len(data), SLOW_READER_SECONDS)
            return self._write_now(data, begun=begun)

    def _write_now(self, data: bytes, *, begun: bool) -> int:
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        if self._poll is not None and not self._poll.poll(0):
            raise BlockingIOError
        if len(data) > select.PIPE_BUF and not begun and not self._has_room(len(data)):
            raise BlockingIOError
        return _write(self._fd, data)

    def _await_room(self, size: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.poll(seconds * 1000)
        while size > select.PIPE_BUF and not self._has_room(size) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS / 100)

    def _has_room(self, size: int) -> bool:
        """Say whether a pipe takes so many bytes as a whole, even if others write now, too."""
        if not self._capacity:
            return True
        used = int.from_bytes(fcntl.ioctl(self._fd, termios.FIONREAD, bytes(4)), sys.byteorder)
        # Its pages are at least half full.
        return used == 0 or 2 * (used + size) + select.PIPE_BUF <= self._capacity

    def _write_text(self, line: bytes) -> None:
        if self._stream is not None:
            self._stream.write(line.decode("utf-8", "backslashreplace"))
            self._stream.flush()

    def _wait(self, line: bytes) -> None:
        with self._lock:
            # A line of which a part is written is completed, however long it is.
            if self._waiting and self._waiting_bytes + len(line) > MAX_WAITING_LOG_BYTES:
                self._drop(line)
                return
            self._waiting.append(line)
            self._waiting_bytes += len(line)
            if not self._is_draining:
                self._is_draining = start_thread(self._drain)

    def _drop(self, lines: bytes) -> None:
        count = lines.count(b"\n")
        self.dropped += count
        self._unsaid += count

    def _say_drops(self) -> None:
        count, self._unsaid = self._unsaid, 0
        if self.describe_drops is not None:
            self.write(self.describe_drops(count))

    def _drain(self) -> None:
        """Run in a thread of its own for as long as lines wait."""
        while True:
            self._await_room(len(self._waiting[0]), _LOOK_SECONDS)
            self._write_waiting()
            with self._lock:
                if not self._waiting:
                    self._is_draining = False
                    break
        if self._unsaid:
            self._say_drops()

    def _write_waiting(self) -> None:
        # Only this thread takes lines away: the first one stays the first, also while it is written.
        while self._waiting:
            line = self._waiting[0]
            try:
                written = self._write_now(line, begun=self._is_begun)
            except BlockingIOError:
                return
            except (OSError, ValueError):
                self._drop(line)
                written = len(line)
            with self._lock:
                self._waiting_bytes -= written
                self._is_begun = written < len(line)
                if self._is_begun:
                    self._waiting[0] = line[written:]
                else:
                    self._waiting.popleft()


class NamedOutput:
    """What structlog calls with a rendered line: the sink, under the name of one logger."""

    __slots__ = ("critical", "debug", "error", "info", "name", "warning")

    def __init__(self, sink: LineSink, name: str) -> None:
        self.name = name
        self.debug = self.info = self.warning = self.error = self.critical = sink.write
