"""The job library as requests use it. Loaded when a process first enqueues or reads a job.

It takes half a second and 50 MB to load, which a worker that never does either need not pay.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dbos import DBOSClient, EnqueueOptions, error as errors
from sqlalchemy import Engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import OperationalError, TimeoutError as PoolTimeoutError

from app.jobs.engine import NAME, PROGRESS, QUEUE, SERIALIZER, prepare, publish_pool
from app.jobs.states import JobState, JobsUnavailable, Status
from framework.observability.logging import get_logger

# How long a request waits for another process that has the file of SQLite, or a table, locked.
LOCKED_SECONDS: Final = 10.0

# How long it waits for a database server that says nothing.
CONNECT_SECONDS: Final = 5

# MAX_RECOVERY_ATTEMPTS_EXCEEDED, CANCELLED and ERROR are failures.
_STATUS: Final[dict[str, Status]] = {
    "DELAYED": "waiting",
    "ENQUEUED": "waiting",
    "PENDING": "running",
    "SUCCESS": "succeeded",
}

_log = get_logger(__name__)


class Client:
    """A connection to the database of the jobs. Its methods block.

    Args:
        url: `sqlite:///FILE` or `postgresql://...`, as `JOBS_URL`.

    Raises:
        JobsUnavailable: here and in each call.
    """

    def __init__(self, url: str) -> None:
        url = _limit_connecting(url)
        with _tell_unavailable():
            prepare(url, LOCKED_SECONDS)
            self._client = DBOSClient(
                system_database_url=url,
                serializer=SERIALIZER,
                application_name=NAME,
                # A request does not wait for a database that is away.
                retry_connection_errors=False,
            )
        _limit_waits(self._client._sys_db.engine)  # noqa: SLF001 - there is no option for it
        self._calls = 0
        self._lock = threading.Lock()
        publish_pool(self._client, self._count_calls)

    def enqueue(
        self,
        name: str,
        args: tuple[Any, ...],
        *,
        delay: float,
        key: str | None,
        attributes: dict[str, str],
    ) -> str:
        """Write a job down; return its id."""
        options: EnqueueOptions = {"queue_name": QUEUE, "workflow_name": name}
        if delay > 0:
            options["delay_seconds"] = delay
        if key is not None:
            options["workflow_id"] = key
        if attributes:
            options["attributes"] = attributes
        with self._call():
            return self._client.enqueue(options, *args).get_workflow_id()

    def read(self, job_id: str) -> JobState | None:
        """Return what is known of a job, None when there is none with this id."""
        with self._call():
            try:
                found = self._client.retrieve_workflow(job_id).get_status()
            except errors.DBOSNonExistentWorkflowError:
                return None
            progress = self._client.get_event(job_id, PROGRESS, 0)
        return JobState(
            id=job_id,
            name=found.name,
            status=_STATUS.get(found.status, "failed"),
            progress=progress,
            result=found.output,
            error=None if found.error is None else _describe(found.error),
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.destroy()

    @contextmanager
    def _call(self) -> Iterator[None]:
        with self._lock:
            self._calls += 1
        try:
            with _tell_unavailable():
                yield
        finally:
            with self._lock:
                self._calls -= 1

    def _count_calls(self) -> int:
        return self._calls


@contextmanager
def _tell_unavailable() -> Iterator[None]:
    """Tell a database that cannot be used now from a fault of ours."""
    try:
        yield
    except (OperationalError, PoolTimeoutError, sqlite3.OperationalError, OSError) as exc:
        # Not the whole text: it has the statement and its parameters.
        reason = str(getattr(exc, "orig", exc)).partition("\n")[0]
        _log.error("jobs are unavailable", reason=reason)
        raise JobsUnavailable from exc


def _limit_waits(engine: Engine) -> None:
    """Let a call fail when what it needs stays locked: the library would wait, or try again, for ever."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_busy_timeout)
        event.listen(engine, "handle_error", _refuse_when_locked)
    else:
        event.listen(engine, "connect", _set_lock_timeout)
    engine.dispose()  # what is open already has not heard of it


def _limit_connecting(url: str) -> str:
    """Return the URL with a limit for a server that says nothing; psycopg waits for 130 s."""
    parts = make_url(url)
    if parts.get_backend_name() == "sqlite":
        return url
    limits = {
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": CONNECT_SECONDS * 1000,
        # Where it has taken a query, and says nothing more.
        "keepalives_idle": CONNECT_SECONDS,
        "keepalives_interval": 1,
        "keepalives_count": CONNECT_SECONDS,
    }
    query = {**{name: str(limit) for name, limit in limits.items()}, **parts.query}
    return parts.set(query=query).render_as_string(hide_password=False)


def _set_lock_timeout(connection: Any, _record: object) -> None:
    connection.execute(f"SET lock_timeout = {round(LOCKED_SECONDS * 1000)}")
    connection.commit()


def _set_busy_timeout(connection: Any, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={round(LOCKED_SECONDS * 1000)}")


def _refuse_when_locked(context: ExceptionContext) -> None:
    if "database is locked" in str(context.original_exception):
        raise TimeoutError(f"another process has the jobs locked for over {LOCKED_SECONDS} s")


def _describe(error: Exception) -> str:
    # The library gives errors back as one type of its own that has the name of the real one.
    return f"{getattr(error, 'name', type(error).__name__)}: {error}"
