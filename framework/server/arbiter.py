"""gunicorn's master, which replaces workers without a moment in which fewer serve."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from gunicorn.arbiter import Arbiter

__all__ = ["RollingArbiter"]

_logger = logging.getLogger("framework.server")


class RollingArbiter(Arbiter):  # type: ignore[misc] # gunicorn has no type information
    """An arbiter that tells a worker to stop when another one has taken its place.

    gunicorn's own forks the new workers of a reload and stops the old ones at once, before anybody knows
    whether the new ones can start; and a worker that has had its number of requests is missed until its
    successor is up. Here one worker is started beside the others, one that is outdated is told to stop
    when the new one serves, and when it is gone it is the turn of the next. A reload of code or configuration that does not
    load leaves the old workers where they are.

    gunicorn makes its arbiter itself and lets nobody choose the class; `adopt` changes the class of one
    that is about to start.
    """

    cfg: Any
    WORKERS: dict[int, Any]
    on_tick: Callable[[], None]
    outdated: set[int]
    retiring: set[int]
    is_reloading: bool
    is_stopping: bool

    @classmethod
    def adopt(cls, arbiter: Arbiter, on_tick: Callable[[], None]) -> None:
        """Make an arbiter one of this class.

        Args:
            arbiter: has no workers yet.
            on_tick: called at least once a second from now on.
        """
        arbiter.__class__ = cls
        arbiter.on_tick = on_tick
        arbiter.outdated = set()
        arbiter.retiring = set()
        arbiter.is_reloading = arbiter.is_stopping = False

    def reload(self) -> None:
        """Read the configuration again, and have every worker replaced."""
        cfg = self.cfg
        workers, self.WORKERS = self.WORKERS, {}
        self.is_reloading = True
        try:
            # It starts no workers (see `spawn_worker`), sees none to stop, and waits for none.
            super().reload()
        except SystemExit:
            _logger.critical(
                "The configuration does not load; the service goes on with the old one"
            )
            self.app.cfg = self.cfg = cfg
        else:
            self.outdated.update(workers)
        finally:
            self.is_reloading = False
            self.WORKERS = workers

    def spawn_worker(self) -> Any:
        """Start a worker."""
        return None if self.is_reloading else super().spawn_worker()

    def manage_workers(self) -> None:
        """Start the workers that are missing, and stop the ones that are too many."""
        if self.is_reloading:
            return
        self.on_tick()
        workers = self.WORKERS
        self.retiring &= workers.keys()
        self.outdated &= workers.keys() - self.retiring
        self.outdated |= {
            pid
            for pid, worker in workers.items()
            if worker.report.wants_replacement and pid not in self.retiring
        }
        staying = len(workers) - len(self.retiring)
        is_next_due = bool(self.outdated) and not self.retiring
        for _ in range(self.num_workers + is_next_due - staying):
            self.spawn_worker()
        self._retire_surplus()

    def _retire_surplus(self) -> None:
        serving = [
            pid
            for pid, worker in self.WORKERS.items()
            if worker.report.serves and pid not in self.retiring
        ]
        # The outdated first, of those the oldest.
        serving.sort(key=lambda pid: (pid not in self.outdated, self.WORKERS[pid].age))
        for pid in serving[: max(0, len(serving) - self.num_workers)]:
            self.retiring.add(pid)
            self.outdated.discard(pid)
            self.kill_worker(pid, signal.SIGTERM)

    def stop(self, graceful: bool = True) -> None:
        """Stop the workers."""
        self.is_stopping = True
        super().stop(graceful)

    def signal(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; a second SIGTERM ends fast, as a second SIGINT does."""
        if self.is_stopping and sig == signal.SIGTERM:
            sig = signal.SIGINT
        super().signal(sig, frame)
