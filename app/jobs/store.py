"""`Jobs`: enqueue a job in a request, and ask later how far it is."""

from __future__ import annotations

import importlib
import threading
from typing import Any, Final

from app.jobs.states import JobState, JobsUnavailable
from framework.concurrency import background_threads
from framework.observability.context import current_request_id
from framework.observability.logging import get_logger
from framework.observability.metrics import Counter

_CLIENT_MODULE: Final = "app.jobs.client"

# How long a call waits for another one that opens the database.
OPEN_SECONDS: Final = 10.0

ENQUEUED: Final = Counter(
    "jobs_enqueued_total", "Durable jobs that requests have begun.", ("name",)
)

_log = get_logger(__name__)


class Jobs:
    """The jobs of the service, seen by all of its processes.

    Nothing is loaded or opened before the first call. All methods may be called from any event loop.

    Args:
        url: `sqlite:///FILE` or `postgresql://...`, as `JOBS_URL`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        self._lock = threading.Lock()

    async def enqueue(
        self, name: str, *args: Any, delay: float = 0.0, key: str | None = None
    ) -> str:
        """Have a worker call the job `name` with `args`; return the id of the job.

        When this returns, the job is on disk.

        Args:
            name: that of `@DBOS.workflow(name=...)`.
            args: JSON values.
            delay: seconds to wait at least.
            key: names the work: a second job with the same key is not made, the first one's id is
                returned. So a client may repeat a request of which it does not know the outcome.

        Raises:
            JobsUnavailable: the database is away, or locked for too long.
        """
        request_id = current_request_id()
        attributes = {} if request_id is None else {"request_id": request_id}
        job_id: str = await background_threads.run(
            self._enqueue, name, args, delay=delay, key=key, attributes=attributes
        )
        ENQUEUED.labels(name).inc()
        _log.info("job enqueued", job=name, job_id=job_id)
        return job_id

    async def read(self, job_id: str) -> JobState | None:
        """Return what is known of a job, None when there is none with this id."""
        return await background_threads.run(self._read, job_id)

    async def close(self) -> None:
        """Close the connections; the next call opens them again."""
        await background_threads.run(self._close)

    def _open(self) -> Any:
        client = self._client  # read once: `close` may come between
        if client is not None:
            return client
        # Where the first call waits for the database, the others do not wait for one another.
        if not self._lock.acquire(timeout=OPEN_SECONDS):
            raise JobsUnavailable
        try:
            if self._client is None:
                self._client = importlib.import_module(_CLIENT_MODULE).Client(self._url)
            return self._client
        finally:
            self._lock.release()

    def _enqueue(self, name: str, args: tuple[Any, ...], **options: Any) -> str:
        job_id: str = self._open().enqueue(name, args, **options)
        return job_id

    def _read(self, job_id: str) -> JobState | None:
        state: JobState | None = self._open().read(job_id)
        return state

    def _close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None
