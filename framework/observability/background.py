"""Background tasks in metrics and logs: what ran, how long it took, what failed."""

from __future__ import annotations

from typing import Final

from framework.observability._tracebacks import mark_reported
from framework.observability.context import current_request_id
from framework.observability.logging import get_logger
from framework.observability.metrics import BackgroundMetrics

__all__ = ["BackgroundReporter"]

SUCCEEDED: Final = "succeeded"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"


class BackgroundReporter:
    """Is told of every background task that has ended; see `observe_background_tasks`.

    A failure is one event, `background task failed`, with the task, its duration, the exception and
    the id of the request; a cancelled task, whose work is lost, is `background task cancelled`.

    Args:
        metrics: counts and times the tasks; None: they are only logged.
    """

    def __init__(self, metrics: BackgroundMetrics | None = None) -> None:
        self.metrics = metrics
        self.errors = get_logger("framework.errors")

    def __call__(self, task: str, seconds: float, error: BaseException | None) -> None:
        outcome = SUCCEEDED
        duration_ms = round(seconds * 1000, 3)
        if isinstance(error, Exception):
            outcome = FAILED
            self.errors.error(
                "background task failed", task=task, duration_ms=duration_ms, exc_info=error
            )
            # Whoever sees the exception on its way up need not log it again.
            mark_reported(error, current_request_id())
        elif error is not None:
            outcome = CANCELLED
            self.errors.warning("background task cancelled", task=task, duration_ms=duration_ms)
        if self.metrics is not None:
            self.metrics.end(task, outcome, seconds)
