"""Why workers end, counted by the master: `worker_starts_total`, and `worker_exits_total` by reason."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
from collections.abc import Iterable
from typing import Any, Final

from framework.observability.metrics import Counter

__all__ = ["count_exit", "count_start", "find_reason", "peek_statuses", "prepare_counters"]

REASONS: Final = (
    "recycled",  # had served long enough, and another has taken its place
    "replaced",  # by a reload, or there were too many
    "stopped",  # with the service
    "timeout",  # was silent for too long
    "boot_failed",  # could not start
    "killed",  # SIGKILL: out of memory, perhaps
    "crashed",  # another signal
    "failed",  # ended with an error
    "exited",  # ended by itself
)


def peek_statuses(pids: Iterable[int]) -> dict[int, int]:
    """Return the exit status of each of the children that has ended, minus the signal if one killed it.

    They stay to be waited for. Empty where the system cannot tell.
    """
    statuses = {}
    if hasattr(os, "waitid"):
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if found is not None:
                    is_signal = found.si_code != os.CLD_EXITED
                    statuses[pid] = -found.si_status if is_signal else found.si_status
    return statuses


def find_reason(worker: Any, status: int, *, is_retiring: bool, is_stopping: bool) -> str:
    """Return why a worker has ended.

    Args:
        worker: gunicorn's object for it.
        status: as `peek_statuses` has it.
        is_retiring: the master has told it to end, as another one serves.
        is_stopping: the whole service ends.
    """
    if worker.aborted:
        return "timeout"
    if is_stopping:
        return "stopped"
    if status == -signal.SIGKILL:
        return "killed"
    if status < 0 and status != -signal.SIGTERM:
        return "crashed"
    if is_retiring:
        return "recycled" if worker.report.wants_replacement else "replaced"
    if status == 0:
        return "exited"
    return "failed" if worker.report.serves else "boot_failed"


@functools.cache
def prepare_counters() -> tuple[Counter, Counter]:
    """Make the counters of this process, all at 0; once, when the metrics directory is there."""
    starts = Counter("worker_starts_total", "Workers that were started.")
    exits = Counter("worker_exits_total", "Workers that have ended, by reason.", ("reason",))
    for reason in REASONS:
        exits.labels(reason)
    return starts, exits


def count_start() -> None:
    """Count a worker that is about to be started."""
    prepare_counters()[0].inc()


def count_exit(reason: str) -> None:
    """Count a worker that has ended."""
    prepare_counters()[1].labels(reason).inc()
