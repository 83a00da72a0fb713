"""Execute durable jobs until SIGTERM.

    python -m deploy.worker

Start as many as there is work for. What stops with a status other than 0 is to be started again.
"""

from __future__ import annotations

import os
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from app.jobs.engine import JobsDatabaseError
from app.jobs.metrics import WorkerPlace
from app.jobs.worker import JobWorker
from app.settings import Settings, SettingsError, load_settings
from app.system.facts import build_facts
from app.tracing import send_spans
from app.work import JOBS
from deploy.packages import find_missing_for_spans
from framework.observability.logging import configure_logging, get_logger
from framework.observability.metrics import set_build_info

_log = get_logger("deploy.worker")  # __name__ is "__main__" as a process


def main() -> None:
    """Run one worker for the jobs of all slices."""
    os.chdir(Path(__file__).resolve().parents[1])
    try:
        settings = load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None
    if (problem := find_missing_for_spans(settings)) is not None:
        raise SystemExit(problem)
    configure_logging(level=settings.log_level, format=settings.log_format)
    build = build_facts(settings)
    set_build_info(version=build.version, revision=build.revision)
    worker = JobWorker(
        settings.jobs_url,
        jobs=JOBS,
        concurrency=settings.jobs_concurrency,
        drain_seconds=settings.graceful_timeout,
        place=_choose_place(settings),
        has_spans=bool(settings.otlp_endpoint),
    )
    try:
        _run(worker, settings)
    except JobsDatabaseError as exc:
        _log.critical(f"JOBS_URL cannot be used: {exc}; start the database, or correct JOBS_URL")
        raise SystemExit(1) from None


def _run(worker: JobWorker, settings: Settings) -> None:
    if not settings.otlp_endpoint:
        worker.run()
        return
    # A loop of its own sends spans; the worker has the main thread, as signals come there.
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(send_spans(settings)),
    ):
        worker.run()


def _choose_place(settings: Settings) -> WorkerPlace | None:
    if not settings.jobs_metrics_port:
        return None
    return WorkerPlace(
        settings.jobs_url, host=settings.metrics_host, port=settings.jobs_metrics_port
    )


if __name__ == "__main__":
    main()
