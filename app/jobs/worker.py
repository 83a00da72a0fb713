"""The process that executes jobs: as many as one likes, on one machine or, with PostgreSQL, on many."""

from __future__ import annotations

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Final

from dbos import DBOS, DBOSClient, DBOSConfig, WorkflowStatus

from app.jobs.engine import (
    NAME,
    QUEUE,
    SERIALIZER,
    VERSION,
    prepare,
    publish_pool,
    tell_unusable,
)
from app.jobs.metrics import WorkerPlace
from app.jobs.slots import MAX_WORKERS, Slots, borrow, claim_slot, open_slots
from framework.observability.logging import get_logger
from framework.observability.metrics import Gauge

# How often the queue is asked for work, and workers for signs of life.
POLL_SECONDS: Final = 0.5
WATCH_SECONDS: Final = 1.0

# How long the place of a dead worker is kept for the one that follows it. That one goes on with its
# jobs at once, and counts them as interrupted; the others, which do not count, wait this long.
ORPHAN_SECONDS: Final = 5.0

# How often jobs that wait are counted, and how many at most.
COUNT_SECONDS: Final = 5.0
MAX_COUNTED: Final = 1000

_PREFIX: Final = "worker-"

_waiting: Final = Gauge(
    "jobs_waiting",
    f"Durable jobs that wait for a worker; {MAX_COUNTED} stands for as many or more.",
    multiprocess_mode="livemostrecent",  # each of them counts all
)
_given_up: Final = Gauge(
    "jobs_given_up",
    f"Durable jobs over which too many workers have died; {MAX_COUNTED} stands for as many or more.",
    multiprocess_mode="livemostrecent",
)

_COUNTED: Final = {"ENQUEUED": _waiting, "MAX_RECOVERY_ATTEMPTS_EXCEEDED": _given_up}

_log = get_logger(__name__)


class JobWorker:
    """One worker.

    Args:
        url: the database, as `JOBS_URL`.
        jobs: what it can execute; a job with another name stays in the queue.
        concurrency: jobs at the same time.
        drain_seconds: how long a stop waits for jobs; those that are left go on in another worker.
        place: where its metrics are; None: they are not served.
        has_spans: spans of jobs go to the global provider of OpenTelemetry.
    """

    def __init__(
        self,
        url: str,
        *,
        jobs: Sequence[Callable[..., Any]],
        concurrency: int,
        drain_seconds: int,
        place: WorkerPlace | None = None,
        has_spans: bool = False,
    ) -> None:
        self._url = url
        self._names = [job.__qualname__ for job in jobs]
        self._concurrency = concurrency
        self._drain_seconds = drain_seconds
        self._place = place
        self._has_spans = has_spans
        self._free_since: dict[int, float] = {}
        self._counted_at = float("-inf")

    def run(self) -> None:
        """Execute jobs until SIGTERM or SIGINT.

        Raises:
            JobsDatabaseError: the database cannot be used.
            Exception: it is away later; whoever started this process starts it again.
        """
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        with tell_unusable():
            prepare(self._url)
            slots = open_slots(self._url)
            slot = claim_slot(slots)
        name = f"{_PREFIX}{slot}"
        if self._place is not None:
            self._place.start(slot, slots)
        library = DBOS(config=self._configure(name))
        # The library goes on with the jobs that the last worker of this name has left.
        DBOS.launch()
        try:
            publish_pool(library)
            DBOS.register_queue(
                QUEUE,
                worker_concurrency=self._concurrency,
                polling_interval_sec=POLL_SECONDS,
                on_conflict="always_update",
            )
            _log.info(
                "job worker is up",
                worker=name,
                concurrency=self._concurrency,
                jobs=self._names,
            )
            while not stop.wait(WATCH_SECONDS):
                slots.check()
                self._adopt_orphans(slots, own=slot)
                self._count_jobs()
                if self._place is not None:
                    self._place.look(slot, slots)
        finally:
            DBOS.destroy(workflow_completion_timeout_sec=self._drain_seconds)
            if self._place is not None:
                self._place.stop(slot)
        self._report_end(name)

    def _configure(self, name: str) -> DBOSConfig:
        return {
            "name": NAME,
            "system_database_url": self._url,
            "executor_id": name,
            "application_version": VERSION,
            "serializer": SERIALIZER,
            "log_level": "WARNING",
            "enable_otlp": self._has_spans,
        }

    def _count_jobs(self) -> None:
        now = time.monotonic()
        if now - self._counted_at >= COUNT_SECONDS:
            self._counted_at = now
            for status, gauge in _COUNTED.items():
                found = DBOS.list_workflows(
                    status=status, limit=MAX_COUNTED, load_input=False, load_output=False
                )
                gauge.set(len(found))

    def _adopt_orphans(self, slots: Slots, *, own: int) -> None:
        """Put the jobs of workers that are dead, and that nobody follows, back into the queue."""
        found = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        jobs: dict[int, list[WorkflowStatus]] = defaultdict(list)
        for job in found:
            number = (job.executor_id or "").removeprefix(_PREFIX)
            if number.isdecimal() and int(number) < MAX_WORKERS and int(number) != own:
                jobs[int(number)].append(job)
        now = time.monotonic()
        free_since: dict[int, float] = {}
        for slot, orphans in jobs.items():
            with borrow(slots, slot) as is_free:
                if not is_free:
                    continue
                free_since[slot] = self._free_since.get(slot, now)
                if now - free_since[slot] >= ORPHAN_SECONDS:
                    for job in orphans:
                        DBOS.resume_workflow(job.workflow_id, queue_name=job.queue_name or QUEUE)
                        _log.warning(
                            "job of a dead worker goes on",
                            job=job.name,
                            job_id=job.workflow_id,
                            worker=job.executor_id,
                        )
        self._free_since = free_since

    def _report_end(self, name: str) -> None:
        client = DBOSClient(system_database_url=self._url, serializer=SERIALIZER)
        try:
            left = client.list_workflows(
                status="PENDING", executor_id=name, load_input=False, load_output=False
            )
        finally:
            client.destroy()
        if left:
            jobs = [f"{job.name} {job.workflow_id}" for job in left]
            _log.warning("jobs are left for another worker", worker=name, jobs=jobs)
        _log.info("job worker has stopped", worker=name)
