"""`Jobs`: enqueue a job in a request, and ask later how far it is."""

from __future__ import annotations

import threading
from typing import Any, Final, Literal

from dbos import DBOSClient, EnqueueOptions, error as errors
from msgspec import Struct

from app.jobs.engine import NAME, PROGRESS, QUEUE, SERIALIZER, prepare
from framework.concurrency import background_threads
from framework.observability.context import current_request_id
from framework.observability.logging import get_logger

Status = Literal["waiting", "running", "succeeded", "failed"]

# MAX_RECOVERY_ATTEMPTS_EXCEEDED, CANCELLED and ERROR are failures.
_STATUS: Final[dict[str, Status]] = {
    "DELAYED": "waiting",
    "ENQUEUED": "waiting",
    "PENDING": "running",
    "SUCCESS": "succeeded",
}

_log = get_logger(__name__)


class JobState(Struct, frozen=True):
    """What is known of a job.

    Args:
        id: names it.
        name: that of the function.
        status: a job whose worker died is `running` until another one goes on with it.
        progress: what the job has published last.
        result: what the function returned, when it has succeeded.
        error: type and text of the exception, when it has failed.
    """

    id: str
    name: str
    status: Status
    progress: Any = None
    result: Any = None
    error: str | None = None


class Jobs:
    """The jobs of the service, seen by all of its processes.

    Nothing is opened before the first call. All methods may be called from any event loop.

    Args:
        url: `sqlite:///FILE` or `postgresql://...`, as `JOBS_URL`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: DBOSClient | None = None
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
        """
        options: EnqueueOptions = {"queue_name": QUEUE, "workflow_name": name}
        if delay > 0:
            options["delay_seconds"] = delay
        if key is not None:
            options["workflow_id"] = key
        request_id = current_request_id()
        if request_id is not None:
            options["attributes"] = {"request_id": request_id}
        job_id = await background_threads.run(self._enqueue, options, args)
        _log.info("job enqueued", job=name, job_id=job_id)
        return job_id

    async def read(self, job_id: str) -> JobState | None:
        """Return what is known of a job, None when there is none with this id."""
        return await background_threads.run(self._read, job_id)

    async def close(self) -> None:
        """Close the connections; the next call opens them again."""
        await background_threads.run(self._close)

    def _close(self) -> None:
        with self._lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None

    def _open(self) -> DBOSClient:
        with self._lock:
            if self._client is None:
                prepare(self._url)
                self._client = DBOSClient(
                    system_database_url=self._url,
                    serializer=SERIALIZER,
                    application_name=NAME,
                    # A request does not wait for a database that is away.
                    retry_connection_errors=False,
                )
            return self._client

    def _enqueue(self, options: EnqueueOptions, args: tuple[Any, ...]) -> str:
        return self._open().enqueue(options, *args).get_workflow_id()

    def _read(self, job_id: str) -> JobState | None:
        client = self._open()
        try:
            found = client.retrieve_workflow(job_id).get_status()
        except errors.DBOSNonExistentWorkflowError:
            return None
        return JobState(
            id=job_id,
            name=found.name,
            status=_STATUS.get(found.status, "failed"),
            progress=client.get_event(job_id, PROGRESS, 0),
            result=found.output,
            error=None if found.error is None else _describe(found.error),
        )


def _describe(error: Exception) -> str:
    # The library gives errors back as one type of its own that has the name of the real one.
    return f"{getattr(error, 'name', type(error).__name__)}: {error}"
