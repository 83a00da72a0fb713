"""The files in which processes keep their metrics, in the format of prometheus-client.

Four bytes say how much of the file is used, four are empty. Entries follow: the length of the key in four
bytes, the key, one to eight spaces up to a multiple of eight bytes, the value and a timestamp as doubles.
A process appends entries to a file of its own and then only changes their values, so that whoever dies in
the middle of it leaves a file of whole entries.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from framework.observability._limits import MAX_METRICS_FILE_BYTES, METRICS_FILE_BYTES

__all__ = ["MetricsFile", "claim_name", "find_series", "is_abandoned", "walk_entries"]

_HEADER_BYTES: Final = 8
_VALUE_BYTES: Final = 16
_DOUBLE_BYTES: Final = 8
_STEP_BYTES: Final = 1024 * 1024
_length: Final = struct.Struct("i")


def find_series(key: bytes) -> bytes:
    """Return what names a series in a key: all but the help text, which a new version may change."""
    return key[: key.rfind(b'}, "')]


def _find_name(series: bytes) -> bytes:
    return series[: series.find(b", {")]


def walk_entries(data: mmap.mmap, after: int = 0) -> Iterator[tuple[bytes, int]]:
    """Yield the key of each entry and where its value is, in doubles; end at one that is not whole.

    Args:
        data: the file.
        after: where the value of an entry is, to begin with the next one; 0 begins with the first.
    """
    size = len(data)
    if size < _HEADER_BYTES:
        return
    used = min(_length.unpack_from(data)[0], size)
    begin = after * _DOUBLE_BYTES + _VALUE_BYTES if after else _HEADER_BYTES
    while begin + _length.size < used:
        (length,) = _length.unpack_from(data, begin)
        key_at = begin + _length.size
        value_at = (key_at + length) // _DOUBLE_BYTES * _DOUBLE_BYTES + _DOUBLE_BYTES
        if length <= 0 or value_at + _VALUE_BYTES > used:
            return
        yield data[key_at : key_at + length], value_at // _DOUBLE_BYTES
        begin = value_at + _VALUE_BYTES


def claim_name(directory: str) -> tuple[str, int]:
    """Take the first name that no living process has in a directory; return it and the lock that keeps it.

    For what workers fork or start: its files are as many as there are such processes at the same time.

    Raises:
        OSError: there is no place for the lock, or the file system has none.
    """
    number = 0
    while True:
        name = f"helper{number}"
        lock = os.open(f"{directory}/{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            number += 1
        except OSError:
            os.close(lock)
            raise
        else:
            # What a dead process of this name had in live gauges does not count any more.
            for path in Path(directory).glob(f"gauge_live*_{name}.db"):
                path.unlink(missing_ok=True)
            return name, lock


def is_abandoned(directory: Path, name: str) -> bool:
    """Say whether a process had claimed a name, and has ended. The slots of workers are not claimed."""
    try:
        lock = os.open(directory / f"{name}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


class MetricsFile:
    """A file of this process, mapped into memory.

    Args:
        path: where it is, or is made.
        is_continued: values in it go on; else they belong to a process that is gone, and it begins anew.

    Raises:
        OSError: it cannot be made, or there is no room for it.
    """

    def __init__(self, path: str, *, is_continued: bool) -> None:
        self.path = path
        if not is_continued:
            Path(path).unlink(missing_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._enlarge(max(METRICS_FILE_BYTES, os.fstat(self._file).st_size))
        except OSError:
            self.close()
            raise
        self._places = {find_series(key): place for key, place in walk_entries(self._memory)}
        self._sizes = Counter(map(_find_name, self._places))
        last = max(self._places.values(), default=0)
        self._end = last * _DOUBLE_BYTES + _VALUE_BYTES if last else _HEADER_BYTES
        self._write_end()

    def find_place(self, key: bytes) -> tuple[memoryview[float], int]:
        """Return where the value of a key is: the doubles of the file, and the index in them.

        They stay valid when the file grows.

        Raises:
            OSError: there is no room for another key.
        """
        series = find_series(key)
        place = self._places.get(series)
        if place is None:
            place = self._places[series] = self._append(key)
            self._sizes[_find_name(series)] += 1
        return self._doubles, place

    def has_room(self, key: bytes, limit: int) -> bool:
        """Say whether a key is there, or fewer than `limit` with the same name, whoever wrote them."""
        series = find_series(key)
        return series in self._places or self._sizes[_find_name(series)] < limit

    def close(self) -> None:
        """Forget the file; what is in it, and memory that is in use, stay."""
        with contextlib.suppress(OSError):
            os.close(self._file)

    def _append(self, key: bytes) -> int:
        padding = b" " * (_DOUBLE_BYTES - (len(key) + _length.size) % _DOUBLE_BYTES)
        entry = _length.pack(len(key)) + key + padding + bytes(_VALUE_BYTES)
        begin, end = self._end, self._end + len(entry)
        while end > self._capacity:
            self._enlarge(self._capacity + min(self._capacity, _STEP_BYTES))
        self._memory[begin:end] = entry
        self._end = end
        # After the entry: whoever reads in between does not see it.
        self._write_end()
        return (end - _VALUE_BYTES) // _DOUBLE_BYTES

    def _write_end(self) -> None:
        self._memory[: _length.size] = _length.pack(self._end)

    def _enlarge(self, capacity: int) -> None:
        if capacity > MAX_METRICS_FILE_BYTES:
            raise OSError(errno.EFBIG, "the file of metrics has its largest size")
        _reserve(self._file, capacity)
        # Places that were given out are in the mapping before, of the same file: it stays.
        self._memory = mmap.mmap(self._file, capacity)
        self._doubles = memoryview(self._memory)[: capacity // 8 * 8].cast("d")
        self._capacity = capacity


def _reserve(file: int, size: int) -> None:
    """Make room for so many bytes: to write where there is none kills a process with SIGBUS."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(file, 0, size)
        except OSError as exc:
            if exc.errno != errno.EOPNOTSUPP:
                raise
        else:
            return
    os.ftruncate(file, size)
