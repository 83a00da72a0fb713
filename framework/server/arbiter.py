"""gunicorn's master, which replaces workers without a moment in which fewer serve."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from gunicorn.arbiter import Arbiter

from framework.server.exits import find_reason, peek_statuses

__all__ = ["RollingArbiter"]

# gunicorn's, too, when a signal comes during a graceful stop.
_QUICK_STOP_SECONDS: Final = 2.0
_STOP_SIGNALS: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT})

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
    statuses: dict[int, int]
    is_reloading: bool
    stop_signals: int
    is_quick: bool
    kill_at: float

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
        arbiter.statuses = {}
        arbiter.stop_signals = 0
        arbiter.kill_at = 0.0
        arbiter.is_reloading = arbiter.is_quick = False

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
        """Stop the workers; quickly when a second signal has come before this began."""
        self.is_quick = not graceful or self.stop_signals > 1
        super().stop(not self.is_quick)

    def reap_workers(self) -> None:
        """Forget workers that have ended; kill those that do not when told to end once more.

        In a quick stop gunicorn waits for the grace, whatever signal comes.
        """
        self.statuses = peek_statuses(self.WORKERS)
        super().reap_workers()
        if self.is_quick and self.stop_signals > 1:
            now = time.monotonic()
            self.kill_at = self.kill_at or now + _QUICK_STOP_SECONDS
            if now >= self.kill_at:
                self.kill_workers(signal.SIGKILL)

    def find_exit_reason(self, worker: Any) -> str:
        """Return why a worker has ended, while it is being forgotten; one of `exits.REASONS`."""
        pid = worker.pid
        return find_reason(
            worker,
            self.statuses.get(pid, 0),
            is_retiring=pid in self.retiring,
            is_stopping=self.stop_signals > 0,
        )

    def signal(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; a second SIGTERM ends fast, as a second SIGINT does."""
        if sig in _STOP_SIGNALS:
            self.stop_signals += 1
            if self.stop_signals > 1:
                sig = signal.SIGINT
        super().signal(sig, frame)
