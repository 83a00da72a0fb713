"""`UnixBackend`: channels between all processes of one machine.

Events stand in a log that the processes share (see `_log`), so all of them see the same order, a new
process knows what was there before it, and no process has to keep anything for one that is slow or
stopped. A datagram on the Unix socket of each process says that there is something to read. It says
nothing else: when one is lost the events are not, they are found a moment later.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import anyio
import anyio.lowlevel
import msgspec

from framework._defaults import (
    CHANNEL_BATCH_EVENTS,
    CHANNEL_LOCK_SECONDS,
    CHANNEL_LOG_BYTES,
    CHANNEL_POLL_SECONDS,
    MAX_CHANNEL_EVENT_BYTES,
)
from framework.channels._hub import Hub
from framework.channels._log import EventLog, Record, find_latest
from framework.channels.events import Event, decode_frame
from framework.concurrency import file_threads
from framework.exceptions import ChannelsUnavailable
from framework.folders import make_private

__all__ = ["UnixBackend", "build"]

# What the address of a Unix socket has room for on Linux is 107 bytes, on other systems 103.
_MAX_PATH_BYTES: Final = 103
_SUFFIX: Final = ".sock"
_LOCK_PAUSE_SECONDS: Final = 0.0005
_MAX_DATAGRAMS: Final = 1024

_logger = logging.getLogger("framework.channels")


class UnixBackend:
    """Delivers to the subscribers of all processes that use the same folder.

    Args:
        folder: where log and sockets are; made with mode 0700. Best in memory (`/dev/shm`, `/run`).
        log_bytes: room for events. A process that is further behind than that misses some.

    Raises:
        ValueError: the path is not absolute or too long, or there is no room for the largest event.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, log_bytes: int = CHANNEL_LOG_BYTES
    ) -> None:
        self.folder = Path(folder)
        self.reconnects = 0
        self._name = f"{secrets.token_hex(8)}{_SUFFIX}"
        length = len(os.fsencode(self.folder / self._name))
        if not self.folder.is_absolute() or length > _MAX_PATH_BYTES:
            longest = _MAX_PATH_BYTES - len(self._name) - 1
            raise ValueError(
                f"folder={str(folder)!r} must be an absolute path of at most {longest} bytes"
            )
        if log_bytes < 2 * MAX_CHANNEL_EVENT_BYTES:
            raise ValueError(
                f"log_bytes={log_bytes!r} must be at least {2 * MAX_CHANNEL_EVENT_BYTES}"
            )
        self._log_bytes = log_bytes
        self._hub = Hub(0)
        self._log: EventLog | None = None
        # One task at a time replaces the log: another one must not find it closed.
        self._replacing = anyio.Lock()
        self._socket: socket.socket | None = None
        self._peers: list[str] = []
        self._members = -1

    async def open(self, hub: Hub) -> None:
        self._hub = hub
        self._members = -1
        self._replacing = anyio.Lock()
        await file_threads.run(make_private, self.folder)
        self._log = await self._open_log()
        self._bind()
        while (record := self._log.read()) is not None:
            if (event := _decode(record)) is not None:
                hub.restore(event)
        if (
            self._log.has_more
        ):  # broken, as by a power failure: nothing can be read beyond this place
            await self._renew(self._log)
        await self._write(EventLog.join)
        hub.find_newest = self._find_newest

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, RuntimeError) as exc:
                _logger.warning("Channels cannot use their folder and try again: %s", exc)
                await anyio.sleep(CHANNEL_POLL_SECONDS)

    async def _listen(self) -> None:
        mend_at = time.monotonic() + CHANNEL_POLL_SECONDS
        while True:
            if self._deliver(CHANNEL_BATCH_EVENTS):
                # Subscribers get a turn, else their queues would overflow.
                await anyio.lowlevel.checkpoint()
                continue
            if self._get_log().is_retired():
                await self._follow()
                continue
            # Something is there and cannot be read: it is on its way from another core.
            is_near = self._get_log().has_more
            pause = _LOCK_PAUSE_SECONDS if is_near else CHANNEL_POLL_SECONDS
            with anyio.move_on_after(pause):
                await anyio.wait_readable(self._get_socket())
            _empty(self._get_socket())
            if time.monotonic() >= mend_at:
                await self._mend()
                mend_at = time.monotonic() + CHANNEL_POLL_SECONDS

    async def _mend(self) -> None:
        """Make again what something has removed, such as a cleaner of temporary files."""
        if not await file_threads.run((self.folder / self._name).exists):
            await file_threads.run(make_private, self.folder)
            self._get_socket().close()
            self._bind()
            await self._write(EventLog.join)
        latest = await file_threads.run(find_latest, self.folder)
        log = self._get_log()
        # The folder may have been removed, and made again by a process that knew of no log.
        if (log.is_gone or log.number < latest) and not log.is_retired():
            await self._renew(log)

    async def publish(self, frame: bytes) -> int:
        try:
            event_id = await self._write(partial(EventLog.append, frame=frame))
        except OSError as exc:
            raise ChannelsUnavailable(f"another log cannot be made: {exc}") from exc
        # It is there: whoever is not woken finds it a moment later.
        with contextlib.suppress(OSError):
            await self._wake_others()
        # Subscribers of this process need not wait for the datagram; they get a turn.
        if self._deliver(CHANNEL_BATCH_EVENTS) == CHANNEL_BATCH_EVENTS:
            self._send(self._name)
        await anyio.lowlevel.checkpoint()
        return event_id

    async def close(self) -> None:
        log, self._log = self._log, None
        own_socket, self._socket = self._socket, None
        if log is not None:
            log.close()
        if own_socket is not None:
            own_socket.close()
            await self._forget([self._name])

    async def _write(self, write: Callable[[EventLog], int | None]) -> int:
        """Do something that needs the lock of the log, as soon as it is free."""
        retire_at = time.monotonic() + CHANNEL_LOCK_SECONDS
        while True:
            log = self._get_log()
            if log.is_retired():
                await self._follow()
                continue
            result = write(log)
            # Looked at after the lock is released, which orders it behind the record: a log that is not
            # retired now had the record when others turned away from it.
            if result is not None and not log.is_retired():
                return result
            if result is None and time.monotonic() > retire_at:
                await self._renew(log)
                retire_at = time.monotonic() + CHANNEL_LOCK_SECONDS
            elif result is None:
                await anyio.sleep(_LOCK_PAUSE_SECONDS)

    def _deliver(self, limit: int) -> int:
        """Hand over events of the log, at most so many; return how many."""
        log = self._get_log()
        for count in range(limit):
            record = log.read()
            if record is None:
                return count
            self._hand_over(record)
        return limit

    def _find_newest(self) -> int:
        return self._get_log().newest_id

    def _hand_over(self, record: Record) -> None:
        if record.missed:
            _logger.warning(
                "This process was too far behind and has missed %d events", record.missed
            )
            self._hub.miss(record.missed)
        if (event := _decode(record)) is not None:
            self._hub.deliver(event)

    def _bind(self) -> None:
        # Another name for each time and, after a fork, for each process.
        self._name = f"{secrets.token_hex(8)}{_SUFFIX}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self.folder / self._name))

    async def _renew(self, log: EventLog) -> None:
        """Give up a log that a stopped process has locked, that is broken, or that is gone."""
        async with self._replacing:
            if log is not self._log or log.is_retired():
                return  # another task was faster
            _logger.warning("The log of channels is locked, broken or gone: another takes over")
            await file_threads.run(log.retire, self.folder)

    async def _follow(self) -> None:
        """Go on with the log that has taken the place of a retired one."""
        async with self._replacing:
            retired = self._get_log()
            if not retired.is_retired():
                return  # another task was faster
            latest = await self._open_log()
            while self._deliver(CHANNEL_BATCH_EVENTS):
                await anyio.lowlevel.checkpoint()
            # No await since the last look, and it was retired before that: all that counts was there.
            self._log = latest
            self._members = -1
            self.reconnects += 1
            retired.close()
        await self._write(EventLog.join)

    async def _open_log(self) -> EventLog:
        return await file_threads.run(EventLog.open_latest, self.folder, self._log_bytes)

    async def _wake_others(self) -> None:
        # PERF: the folder is read only when somebody has joined since.
        members = self._get_log().members
        if members != self._members:
            self._peers = await file_threads.run(_find_sockets, self.folder)
            self._members = members
        gone = [name for name in self._peers if name != self._name and not self._send(name)]
        if gone:
            self._peers = [name for name in self._peers if name not in gone]
            await self._forget(gone)

    def _send(self, name: str) -> bool:
        """Wake a process; return whether there is one."""
        try:
            self._get_socket().sendto(b"", str(self.folder / name))
        except OSError as exc:
            # A full queue is as good: it will look when it gets that far.
            return exc.errno not in {errno.ECONNREFUSED, errno.ENOENT}
        return True

    async def _forget(self, names: Iterable[str]) -> None:
        """Remove the sockets of processes that are gone; names are never used again."""
        await file_threads.run(_remove_files, [self.folder / name for name in names])

    def _get_log(self) -> EventLog:
        if self._log is None:
            raise RuntimeError("this back end is not open")
        return self._log

    def _get_socket(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("this back end is not open")
        return self._socket


def build(url: str) -> UnixBackend:
    """Return the back end of `unix:///a/folder`."""
    parts = urlsplit(url)
    if parts.netloc or parts.query or not parts.path:
        raise ValueError(
            f"{url!r} must be unix:// and an absolute path: unix:///run/service/channels"
        )
    return UnixBackend(unquote(parts.path))


def _decode(record: Record) -> Event | None:
    """Return the event of a record; None, and a line in the log, where it is none."""
    try:
        return decode_frame(record.frame, record.id)
    except msgspec.MsgspecError as exc:
        _logger.warning("The log of channels has a record that is no event: %s", exc)
        return None


def _empty(own_socket: socket.socket) -> None:
    """Take the datagrams that have come, but not for ever."""
    with contextlib.suppress(BlockingIOError):
        for _ in range(_MAX_DATAGRAMS):
            own_socket.recv(1)


def _find_sockets(folder: Path) -> list[str]:
    return [path.name for path in folder.glob(f"*{_SUFFIX}")]


def _remove_files(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
