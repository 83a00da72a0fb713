"""The log that the processes of one machine share: a ring of records in a file that all of them map.

Who writes holds the lock of the file (flock) for microseconds. Such a lock ends with its process, and a
record counts only when the end of the log is moved behind it: a writer that is killed leaves nothing
locked and nothing half done. Readers take no lock. They copy a record and then look whether it has been
overwritten meanwhile; its checksum says whether all of it is there.

A process that is stopped (SIGSTOP) while it holds the lock would hold up all others. So after
`CHANNEL_LOCK_SECONDS` the log is retired and the next one, a file with a higher number, takes its place.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import secrets
import struct
import time
import zlib
from pathlib import Path
from typing import Final, NamedTuple, Self

__all__ = ["EventLog", "Record", "find_latest"]

# The header: numbers of 8 bytes at these places. HEAD and TAIL are counted in bytes since the first log.
_MARK, _CAPACITY, _HEAD, _TAIL, _LAST_ID, _MEMBERS, _RETIRED = range(7)
_HEADER: Final = struct.Struct("=7Q")
_HEADER_BYTES: Final = 4096
_MARK_VALUE: Final = int.from_bytes(b"channel1", "little")

# A record: bytes of the frame, checksum, id.
_RECORD: Final = struct.Struct("=IIQ")

# Positions and ids of the next log begin so far behind, out of reach of whoever still writes to this one.
_POSITION_GAP: Final = 1 << 32
_ID_GAP: Final = 1 << 20

_ZEROS: Final = bytes(1024 * 1024)


class Record(NamedTuple):
    """A frame with its id, and how many records before it are gone unread."""

    id: int
    frame: bytes
    missed: int


class EventLog:
    """One file of the log, as one process sees it. Nothing here waits.

    Args:
        path: the file, which exists.
        number: its number.
    """

    __slots__ = ("_capacity", "_file", "_last_id", "_map", "_numbers", "_position", "number")

    def __init__(self, path: Path, number: int) -> None:
        self.number = number
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._map = mmap.mmap(self._file, 0)
        except BaseException:
            os.close(self._file)
            raise
        # Aligned native numbers: each is read and written as a whole, also without the lock.
        self._numbers = memoryview(self._map)[:_HEADER_BYTES].cast("Q")
        self._capacity = self._numbers[_CAPACITY]
        if self._numbers[_MARK] != _MARK_VALUE or len(self._map) != _HEADER_BYTES + self._capacity:
            self.close()
            raise RuntimeError(f"{str(path)!r} is no log of channels: remove it")
        last_id = self._numbers[_LAST_ID]
        self._position = self._numbers[_HEAD]
        # Where something is there to read, the id before it is not known, and does not matter.
        self._last_id = last_id if self._position == self._numbers[_TAIL] else 0

    @classmethod
    def open_latest(cls, folder: Path, capacity: int) -> Self:
        """Open the log with the highest number, or make the first one.

        Raises:
            OSError: there is no room for it, or it may not be written.
            RuntimeError: a file with its name is something else.
        """
        while True:
            number = find_latest(folder)
            if not number:
                # Above all ids of an earlier log, which may be gone: clients may come again with those.
                _make(folder, 1, capacity, position=0, last_id=time.time_ns() // 1000)
                continue
            # It may be gone by now: then there is one with a higher number.
            with contextlib.suppress(FileNotFoundError):
                log = cls(_build_path(folder, number), number)
                if find_latest(folder) == number:
                    return log
                log.close()

    def is_retired(self) -> bool:
        """Say whether another log has taken the place of this one."""
        return bool(self._numbers[_RETIRED])

    @property
    def newest_id(self) -> int:
        """The id of the newest record, read or not."""
        return self._numbers[_LAST_ID]

    @property
    def members(self) -> int:
        """Rises whenever a process joins."""
        return self._numbers[_MEMBERS]

    @property
    def is_gone(self) -> bool:
        """Whether the file has been removed: a new process cannot find it."""
        return os.fstat(self._file).st_nlink == 0

    def join(self) -> int | None:
        """Have the others look for a new process; None while another process has the lock."""
        if not self._lock():
            return None
        self._numbers[_MEMBERS] += 1
        self._unlock()
        return self.members

    def append(self, frame: bytes) -> int | None:
        """Write a record and return its id; None while another process has the lock."""
        if not self._lock():
            return None
        try:
            return self._append(frame)
        finally:
            self._unlock()

    def read(self) -> Record | None:
        """Return the next record; None when there is none yet."""
        numbers, position = self._numbers, self._position
        while position < numbers[_TAIL]:
            if position >= numbers[_HEAD]:
                size, checksum, record_id = _RECORD.unpack(self._copy(position, _RECORD.size))
                frame = self._copy(position + _RECORD.size, min(size, self._capacity))
                if position >= numbers[_HEAD]:
                    if zlib.crc32(frame, record_id & 0xFFFFFFFF) != checksum:
                        return None  # on its way from another core
                    missed = record_id - self._last_id - 1 if self._last_id else 0
                    self._last_id = record_id
                    self._position = position + _RECORD.size + size
                    return Record(record_id, frame, missed)
            position = self._position = numbers[_HEAD]  # overwritten meanwhile
        return None

    @property
    def has_more(self) -> bool:
        """Whether there are records that have not been read."""
        return self._position < self._numbers[_TAIL]

    def retire(self, folder: Path) -> None:
        """Have another log take the place of this one: an empty one, unless there is one already."""
        if find_latest(folder) <= self.number:
            _make(
                folder,
                self.number + 1,
                self._capacity,
                position=self._numbers[_TAIL] + _POSITION_GAP,
                # Also above the ids of a log that was made when this one was gone.
                last_id=max(self._numbers[_LAST_ID] + _ID_GAP, time.time_ns() // 1000),
            )
        self._numbers[_RETIRED] = 1
        _build_path(folder, self.number).unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the file; it stays for the others."""
        self._numbers.release()
        self._map.close()
        os.close(self._file)

    def _append(self, frame: bytes) -> int:
        numbers = self._numbers
        record_id = numbers[_LAST_ID] + 1
        checksum = zlib.crc32(frame, record_id & 0xFFFFFFFF)
        tail = numbers[_TAIL]
        end = tail + _RECORD.size + len(frame)
        head = numbers[_HEAD]
        while end - head > self._capacity:
            head += _RECORD.size + _RECORD.unpack(self._copy(head, _RECORD.size))[0]
        # In this order: what is overwritten is no part of the log any more, what is not written yet is none.
        numbers[_HEAD] = head
        self._paste(tail, _RECORD.pack(len(frame), checksum, record_id) + frame)
        numbers[_LAST_ID] = record_id
        numbers[_TAIL] = end
        return int(record_id)

    def _copy(self, position: int, size: int) -> bytes:
        begin = position % self._capacity + _HEADER_BYTES
        end = begin + size
        rest = end - len(self._map)
        if rest <= 0:
            return self._map[begin:end]
        return self._map[begin:] + self._map[_HEADER_BYTES : _HEADER_BYTES + rest]

    def _paste(self, position: int, data: bytes) -> None:
        begin = position % self._capacity + _HEADER_BYTES
        room = len(self._map) - begin
        if len(data) <= room:
            self._map[begin : begin + len(data)] = data
            return
        self._map[begin:] = data[:room]
        self._map[_HEADER_BYTES : _HEADER_BYTES + len(data) - room] = data[room:]

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)


def _build_path(folder: Path, number: int) -> Path:
    return folder / f"events-{number}.log"


def find_latest(folder: Path) -> int:
    """Return the highest number of a log there, 0 for none."""
    return max(
        (int(path.stem.partition("-")[2]) for path in folder.glob("events-*.log")), default=0
    )


def _make(folder: Path, number: int, capacity: int, *, position: int, last_id: int) -> None:
    """Make a log under its name in one step, unless there is one already."""
    path = folder / f"new-{secrets.token_hex(8)}"
    header = _HEADER.pack(_MARK_VALUE, capacity, position, position, last_id, 0, 0)
    try:
        with path.open("xb") as file:
            file.write(header.ljust(_HEADER_BYTES, b"\0"))
            # Written, not only made so long: a full disk is an OSError here and a SIGBUS later.
            for begin in range(0, capacity, len(_ZEROS)):
                file.write(_ZEROS[: capacity - begin])
        with contextlib.suppress(FileExistsError):
            os.link(path, _build_path(folder, number))
    finally:
        path.unlink(missing_ok=True)
