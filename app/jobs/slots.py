"""Numbers for workers, each held by one living worker: whose number is free is dead.

The library marks a job with the name of its worker, and does not notice when that one dies. A number
is a lock which ends with its process: a file lock beside a SQLite file, an advisory lock in PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from sqlalchemy import Connection, NullPool, create_engine, make_url, text

from app.jobs.engine import find_file
from framework.tasks import ProcessLock

MAX_WORKERS: Final = 100

# The first of the two numbers of an advisory lock: "jobs".
_LOCK_CLASS: Final = int.from_bytes(b"jobs")


class Slots(Protocol):
    """The numbers of all workers on one database."""

    def take(self, number: int) -> bool:
        """Say whether this process has the number now; raises when the database is away."""

    def release(self, number: int) -> None:
        """Give a number back."""

    def check(self) -> None:
        """Raise when the numbers of this process may be lost."""


class FileSlots:
    """Locks on files beside the database."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._locks: dict[int, ProcessLock] = {}

    def take(self, number: int) -> bool:
        """See `Slots`."""
        lock = ProcessLock(self._file.with_name(f"{self._file.name}.worker-{number}.lock"))
        if not lock.take():
            return False
        self._locks[number] = lock
        return True

    def release(self, number: int) -> None:
        """See `Slots`."""
        self._locks.pop(number).release()

    def check(self) -> None:
        """See `Slots`: the kernel keeps these locks as long as the process lives."""


class PostgresSlots:
    """Advisory locks of one connection; the server frees them when it ends."""

    def __init__(self, url: str) -> None:
        engine = create_engine(
            make_url(url).set(drivername="postgresql+psycopg"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        self._connection: Connection = engine.connect()

    def take(self, number: int) -> bool:
        """See `Slots`."""
        return self._call("pg_try_advisory_lock", number)

    def release(self, number: int) -> None:
        """See `Slots`."""
        self._call("pg_advisory_unlock", number)

    def check(self) -> None:
        """See `Slots`: without the connection the locks are gone."""
        self._connection.execute(text("SELECT 1"))

    def _call(self, function: str, number: int) -> bool:
        statement = text(f"SELECT {function}(:kind, :number)")
        return bool(self._connection.scalar(statement, {"kind": _LOCK_CLASS, "number": number}))


def open_slots(url: str) -> Slots:
    """Return the numbers of the workers on the database `url`."""
    file = find_file(url)
    return PostgresSlots(url) if file is None else FileSlots(file)


def claim_slot(slots: Slots) -> int:
    """Take the lowest free number: a worker that follows a dead one takes its place.

    Raises:
        RuntimeError: all are taken.
    """
    for number in range(MAX_WORKERS):
        if slots.take(number):
            return number
    raise RuntimeError(f"{MAX_WORKERS} workers run on this database: stop some of them")


@contextmanager
def borrow(slots: Slots, number: int) -> Iterator[bool]:
    """Say whether a number is free, and keep it within the block when it is."""
    is_free = slots.take(number)
    try:
        yield is_free
    finally:
        if is_free:
            slots.release(number)
