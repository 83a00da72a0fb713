"""Runs the personas in this process with locust as a library."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from locust import User
from locust.env import Environment
from locust.html import get_html_report
from locust.runners import LocalRunner
from locust.stats import stats_history

from load.thresholds import Endpoint, Outcome

STOP_TIMEOUT_SECONDS: Final = 10
"""How long a request that is on its way at the end may take to be counted."""


def run(
    personas: Sequence[type[User]],
    *,
    host: str,
    users: int,
    spawn_rate: float,
    seconds: float,
    report: Path,
) -> Outcome:
    """Let users work for some seconds, write locust's HTML report, return what was measured."""
    environment = Environment(
        user_classes=list(personas),
        host=host,
        stop_timeout=STOP_TIMEOUT_SECONDS,
        locustfile="load/locustfile.py",
    )
    runner = environment.create_local_runner()
    # Its greenlets end with the runner. Sleeping lets them work: locust has replaced `time.sleep`.
    runner.greenlet.spawn(stats_history, runner)
    start, cpu_start = time.perf_counter(), time.process_time()
    runner.start(users, spawn_rate=spawn_rate)
    time.sleep(seconds)
    runner.stop()
    elapsed, cpu = time.perf_counter() - start, time.process_time() - cpu_start
    # The chart of the report is drawn from the history, which needs its last second.
    time.sleep(1)
    html = get_html_report(environment)  # type: ignore[no-untyped-call]
    report.write_text(html, encoding="utf-8")
    outcome = collect(runner, elapsed, cpu / elapsed)
    runner.quit()
    return outcome


def collect(runner: LocalRunner, seconds: float, generator_cpu: float) -> Outcome:
    """Turn locust's statistics into ours."""
    entries = sorted(runner.stats.entries.values(), key=lambda entry: (entry.name, entry.method))
    return Outcome(
        endpoints=[
            Endpoint(
                name=f"{entry.method} {entry.name}",
                requests=entry.num_requests,
                failures=entry.num_failures,
                median_ms=entry.median_response_time or 0,
                p95_ms=entry.get_response_time_percentile(0.95) or 0,
                max_ms=entry.max_response_time or 0,
            )
            for entry in entries
        ],
        errors=[
            (f"{error.method} {error.name}", str(error.error), error.occurrences)
            for error in runner.stats.errors.values()
        ],
        crashes=[crash["msg"] for crash in runner.exceptions.values()],
        seconds=seconds,
        generator_cpu=generator_cpu,
    )
