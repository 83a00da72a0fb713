"""Execute durable jobs until SIGTERM.

    python -m deploy.worker

Start as many as there is work for. What stops with a status other than 0 is to be started again.
"""

from __future__ import annotations

import os
from pathlib import Path

from app.jobs.worker import JobWorker
from app.settings import SettingsError, load_settings
from app.work import JOBS
from framework.observability.logging import configure_logging


def main() -> None:
    """Run one worker for the jobs of all slices."""
    os.chdir(Path(__file__).resolve().parents[1])
    try:
        settings = load_settings()
    except SettingsError as exc:
        raise SystemExit(str(exc)) from None
    configure_logging(level=settings.log_level, format=settings.log_format)
    JobWorker(
        settings.jobs_url,
        jobs=JOBS,
        concurrency=settings.jobs_concurrency,
        drain_seconds=settings.graceful_timeout,
    ).run()


if __name__ == "__main__":
    main()
