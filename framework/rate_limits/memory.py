"""`SharedMemoryStore`: counts in memory that the workers of one machine share.

The memory is a file that every worker maps, found by its path, as an application is loaded after its
worker was forked. A worker holds the lock of a few bytes of it for microseconds at a time; such locks
(fcntl) end with the process that holds them, so a worker that is killed leaves nothing locked. It
leaves nothing wrong either: whatever part of a slot was written, the slot is a count or counts as empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import re
import secrets
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import anyio

from framework._defaults import (
    MAX_RATE_LIMIT_KEYS,
    MAX_RATE_LIMIT_SECONDS,
    RATE_LIMIT_LOCK_SECONDS,
)
from framework.concurrency import file_threads
from framework.folders import build_private_path, make_private
from framework.rate_limits.rules import Bucket, StoreUnavailable, Verdict, decide

__all__ = ["SharedMemoryStore"]

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")

# The file: a mark, a secret, then sets of slots. A slot: digest of a key, time in microseconds.
_MARK: Final = b"rate limits, 1\n\0"
_SECRET_BYTES: Final = 16
_HEADER_BYTES: Final = 192
_SLOT: Final = struct.Struct("<16sq")
_TIME: Final = struct.Struct("<q")
_DIGEST_BYTES: Final = 16
_SLOTS_IN_SET: Final = 8
_SET_BYTES: Final = _SLOT.size * _SLOTS_IN_SET
_EMPTY: Final = bytes(_DIGEST_BYTES)

# Who holds a lock does so for microseconds: ask again at once a few times, then let others work.
_TRIES_AT_ONCE: Final = 20
_PAUSE_SECONDS: Final = 0.0005

# Between the threads of one process, which the locks of files do not tell apart.
_threads_lock = threading.Lock()


class SharedMemoryStore:
    """Counts that all processes with the same `directory` and `name` share.

    A key has one of eight slots. When all are taken, the one that is closest to being empty gives way:
    a flood of new keys pushes out those that matter least.

    Args:
        name: tells services on one machine apart: letters, digits, `.`, `_` and `-`. Unless given it
            is made from the working directory and the command line.
        directory: a folder for the file; unless given one that is private to this user, in
            `/dev/shm` or else below the temporary directory.
        max_keys: how many keys there is room for, 24 bytes each.

    Raises:
        ValueError: a name that is no file name, or room for less than eight keys.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        max_keys: int = MAX_RATE_LIMIT_KEYS,
    ) -> None:
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError(f"name={name!r} must be up to 100 letters, digits, '.', '_' and '-'")
        if max_keys < _SLOTS_IN_SET:
            raise ValueError(f"max_keys={max_keys!r} must be at least {_SLOTS_IN_SET}")
        self.name = name
        self.directory = None if directory is None else Path(directory)
        self._sets = -(-max_keys // _SLOTS_IN_SET)
        self._file = -1
        self._secret = b""
        self._map: mmap.mmap | None = None

    async def open(self) -> None:
        """Open the file, or make it.

        Raises:
            OSError: there is no room for it, or it may not be written.
            RuntimeError: the folder is not private to this user, or the file is something else.
        """
        await file_threads.run(self._open)

    async def take(self, buckets: Sequence[Bucket]) -> Verdict:
        """Fill all buckets or none. Raises `StoreUnavailable` when it cannot be done in time."""
        if self._map is None:
            try:
                await self.open()
            except (OSError, RuntimeError) as exc:
                raise StoreUnavailable(str(exc)) from exc
        digests = [self._digest(bucket.key) for bucket in buckets]
        places = [self._find_set(digest) for digest in digests]
        verdict = self._try(buckets, digests, places)
        if verdict is not None:
            return verdict
        give_up_at = time.monotonic() + RATE_LIMIT_LOCK_SECONDS
        while time.monotonic() < give_up_at:
            await anyio.sleep(_PAUSE_SECONDS)
            verdict = self._try(buckets, digests, places)
            if verdict is not None:
                return verdict
        raise StoreUnavailable("another process has held a lock of the shared memory for too long")

    def close(self) -> None:
        """Let go of the file; it stays for the others, and `take` opens it again."""
        with _threads_lock:
            if self._map is not None:
                self._map.close()
                os.close(self._file)
            self._map = None
            self._file = -1

    def _digest(self, key: str) -> bytes:
        # With a secret, so that nobody can choose keys that fall into the set of another one.
        return hashlib.blake2b(
            key.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES, key=self._secret
        ).digest()

    def _find_set(self, digest: bytes) -> int:
        number = int.from_bytes(digest[:8], "little") % self._sets
        return _HEADER_BYTES + number * _SET_BYTES

    def _try(
        self, buckets: Sequence[Bucket], digests: Sequence[bytes], places: Sequence[int]
    ) -> Verdict | None:
        """Do it unless another process holds one of the locks."""
        with _threads_lock:
            if self._map is None:
                raise StoreUnavailable("the shared memory was closed")
            try:
                if not all(self._lock(place) for place in places):
                    return None
                return self._take(self._map, buckets, digests, places)
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN)

    def _lock(self, place: int) -> bool:
        for _ in range(_TRIES_AT_ONCE):
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, _SET_BYTES, place)
            except (BlockingIOError, PermissionError):  # POSIX leaves open which
                continue
            except OSError as exc:
                raise StoreUnavailable(f"locking the shared memory failed: {exc}") from exc
            return True
        return False

    def _take(
        self,
        memory: mmap.mmap,
        buckets: Sequence[Bucket],
        digests: Sequence[bytes],
        places: Sequence[int],
    ) -> Verdict:
        now = time.monotonic_ns() // 1000
        levels = []
        for digest, place in zip(digests, places, strict=True):
            slot = _find_slot(memory, place, digest)
            full_until = _TIME.unpack_from(memory, slot + _DIGEST_BYTES)[0] if slot else 0
            levels.append(max(full_until - now, 0))
        verdict = decide(buckets, levels)
        if verdict.is_allowed:
            for digest, place, level in zip(digests, places, verdict.levels, strict=True):
                slot = _find_slot(memory, place, digest) or _find_victim(memory, place, now)
                _SLOT.pack_into(memory, slot, digest, now + level)
        return verdict

    def _open(self) -> None:
        with _threads_lock:
            if self._map is not None:
                return
            directory = self.directory
            if directory is None:
                directory = build_private_path("rate-limits")
                make_private(directory)
            name = _name_after_command() if self.name is None else self.name
            # The size is part of the name: another one is another file.
            path = directory / f"{name}-{self._sets * _SLOTS_IN_SET}.rates"
            size = _HEADER_BYTES + self._sets * _SET_BYTES
            self._file = _open_or_make(path, size)
            try:
                self._map = _map_file(self._file, path, size)
            except BaseException:
                os.close(self._file)
                self._file = -1
                raise
            self._secret = self._map[len(_MARK) : len(_MARK) + _SECRET_BYTES]


def _find_slot(memory: mmap.mmap, place: int, digest: bytes) -> int:
    """Return where the slot of a digest is, 0 when it has none."""
    found = memory.find(digest, place, place + _SET_BYTES)
    while found != -1 and (found - place) % _SLOT.size:
        found = memory.find(digest, found + 1, place + _SET_BYTES)
    return max(found, 0)


def _find_victim(memory: mmap.mmap, place: int, now: int) -> int:
    """Return where the slot is that may be written over: a free one, or that with the lowest level."""
    best, lowest = place, sys.maxsize
    for slot in range(place, place + _SET_BYTES, _SLOT.size):
        digest, full_until = _SLOT.unpack_from(memory, slot)
        level = full_until - now
        # A time that no limit can reach is left from before the machine was started, or half written.
        if digest == _EMPTY or not 0 < level <= MAX_RATE_LIMIT_SECONDS * 1_000_000:
            return slot
        if level < lowest:
            best, lowest = slot, level
    return best


def _name_after_command() -> str:
    command = "\0".join([str(Path.cwd()), *sys.argv])
    return hashlib.blake2b(os.fsencode(command), digest_size=8).hexdigest()


def _open_or_make(path: Path, size: int) -> int:
    """Open the file; make it first when it is not there, whole or not at all."""
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    made, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(made, "wb") as file:
            # Written, not only made long: a full memory is an error here and not a signal later.
            file.write((_MARK + secrets.token_bytes(_SECRET_BYTES)).ljust(size, b"\0"))
        # When several processes start at once, the first one to get here makes it for all.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        Path(temporary).unlink()
    return os.open(path, flags)


def _map_file(file: int, path: Path, size: int) -> mmap.mmap:
    if os.fstat(file).st_size == size:
        memory = mmap.mmap(file, size)
        if memory[: len(_MARK)] == _MARK:
            return memory
        memory.close()
    raise RuntimeError(f"{str(path)!r} is no file of this store: remove it")
