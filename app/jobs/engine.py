"""The database of the jobs, as both sides use it: requests that enqueue, workers that execute.

The queue is that of DBOS Transact; README.md tells why.
"""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dbos import DBOS, DBOSPortableJSONSerializer
from sqlalchemy.exc import SQLAlchemyError

from framework.observability.metrics import publish_statistics

QUEUE: Final = "default"
PROGRESS: Final = "progress"
"""The event in which a job publishes how far it is."""

NAME: Final = "slipway"

# One version for ever: a job that was begun by older code is finished by newer code. The library would
# otherwise leave it to workers that still have the old code.
VERSION: Final = "1"

# JSON: what is read from the database can never be code, as a pickle could.
SERIALIZER: Final = DBOSPortableJSONSerializer()

# How long another process may hold the file of SQLite locked.
_BUSY_SECONDS: Final = 30.0

# How often it is looked for whether another process still prepares the file.
_PAUSE_SECONDS: Final = 0.02

_SQLITE: Final = "sqlite:///"

# The library would write to standard error in a format of its own.
_library_logger = logging.getLogger("dbos")
_library_logger.addHandler(logging.NullHandler())
_library_logger.setLevel(logging.WARNING)


class JobsDatabaseError(Exception):
    """The database cannot be used; the text is one line that says why, without a password."""


@contextmanager
def tell_unusable() -> Iterator[None]:
    """Raise `JobsDatabaseError` for whatever a database that cannot be used raises.

    Raises:
        JobsDatabaseError: it is away, refuses this user, or the URL is none.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
        # The first line of the driver: the rest has the statement and its parameters.
        reason = str(getattr(exc, "orig", exc)).partition("\n")[0]
        raise JobsDatabaseError(reason) from exc
    except ValueError:
        # Without its text and its cause, which have the part of the URL that was not understood.
        reason = "it is no URL (special characters of a password are written as %2F)"
        raise JobsDatabaseError(reason) from None


def find_file(url: str) -> Path | None:
    """Return the file of a SQLite URL, None for a server."""
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def prepare(url: str, patience: float = _BUSY_SECONDS) -> None:
    """Make the database and its tables, or bring them up to date; blocks.

    Processes that start together may all do so: with SQLite one after the other, a server sees to it.

    Args:
        url: the database, as `JOBS_URL`.
        patience: seconds to wait for another process that has the file of SQLite locked.

    Raises:
        OSError: the folder of a SQLite file cannot be made, or it stays locked.
        sqlite3.OperationalError: the file stays locked.
    """
    file = find_file(url)
    if file is None:
        DBOS.migrate(url)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with _lock_folder(file.parent, patience):
        connection = sqlite3.connect(file, timeout=patience)
        try:
            # Readers and the one writer do not wait for each other; the file remembers it.
            connection.execute("PRAGMA journal_mode=WAL")
            # Now, as the library waits for half a minute whatever one says.
            connection.execute("BEGIN IMMEDIATE")
        finally:
            connection.close()
        DBOS.migrate(url)


def _take(descriptor: int) -> bool:
    """Take the lock, unless another process has it; it is released with the descriptor."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _lock_folder(folder: Path, patience: float) -> Iterator[None]:
    """Be alone among those that prepare a file there.

    SQLite does not wait when two processes turn a new file to WAL: one has "database is locked" at once.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        give_up_at = time.monotonic() + patience
        while not _take(descriptor):
            if time.monotonic() > give_up_at:
                raise TimeoutError(f"another process prepares a file in {folder} for {patience} s")
            time.sleep(_PAUSE_SECONDS)
        yield
    finally:
        os.close(descriptor)


def publish_pool(library: Any, count_calls: Callable[[], int] | None = None) -> None:
    """Publish how many connections there may be, how many are used, and how many calls wait for one.

    Args:
        library: a `DBOSClient` or the `DBOS` of a worker, which has its database open.
        count_calls: returns how many calls there are at the moment; one without a connection waits.
    """
    engine = library._sys_db.engine  # noqa: SLF001 - the library tells nobody
    read = functools.partial(_read_pool, engine, count_calls)
    publish_statistics("database_pool", read, labels={"pool": "jobs"})


def _read_pool(engine: Any, count_calls: Callable[[], int] | None) -> dict[str, float]:
    used = engine.pool.checkedout()
    numbers = {"size": engine.pool.size(), "used": used}
    if count_calls is not None:
        numbers["waiting"] = max(0, count_calls() - used)
    return numbers
