"""What happens in gunicorn's master process around the life of its workers."""

from __future__ import annotations

import functools
import gc
import logging
import os
import sys
from typing import Final

from gunicorn.arbiter import Arbiter

from framework.observability.logging import LogFormat
from framework.observability.metrics import MULTIPROCESS_DIRECTORY_VARIABLE, mark_dead
from framework.observability.process import name_process, take_slot
from framework.server.announcement import Announcement
from framework.server.arbiter import RollingArbiter
from framework.server.boot import Boot
from framework.server.exits import count_exit, count_start, prepare_counters
from framework.server.exporter_process import ExporterProcess
from framework.server.http.choice import HTTPTOOLS, HttpParser
from framework.server.http.limits import HttpLimits
from framework.server.report import WorkerReport
from framework.server.run_directory import RunDirectory
from framework.server.slots import SLOTS_PER_MASTER, find_free_slot
from framework.server.worker import SlipwayWorker
from framework.tasks import RUN_DIRECTORY_VARIABLE

__all__ = ["MasterHooks", "build_master_hooks"]

_UPGRADE_SECONDS: Final = 24 * 3600.0

_logger = logging.getLogger("framework.server")


class MasterHooks:
    """gunicorn's hooks; each method has the name and the parameters of one.

    Args:
        name: names the run directory; the same for every master on the same address.
        metrics_host: address of the metrics exporter.
        metrics_port: port of the metrics exporter; 0 turns it off.
        log_level: level of the metrics exporter's log.
        log_format: format of the metrics exporter's log.
    """

    def __init__(
        self,
        *,
        name: str,
        metrics_host: str,
        metrics_port: int,
        log_level: str,
        log_format: LogFormat,
    ) -> None:
        self.announcement: Announcement | None = None
        self.drain_seconds = 0.0
        """How long a worker takes requests after SIGTERM."""
        self.max_rss = 0
        """Bytes of memory from which on a worker is replaced; 0 for never."""
        self.http_parser: HttpParser = HTTPTOOLS
        """What reads HTTP."""
        self.limits = HttpLimits()
        """What a client may send, and how long it may take."""
        self.run_directory = RunDirectory(name)
        self._exporter = ExporterProcess(
            metrics_host, metrics_port, log_level=log_level, log_format=log_format
        )
        self._first_slot = 0
        self._vacated: list[int] = []
        """Slots of workers that have died, for those in their place."""
        self._boot: Boot | None = None

    def on_starting(self, server: Arbiter) -> None:
        """Take possession of the run directory before any worker writes into it."""
        try:
            number = self.run_directory.claim()
        except RuntimeError as exc:
            _logger.critical("%s", exc)
            sys.exit(1)
        # Where workers write their metrics and the exporter reads them: a private folder in memory.
        # Set when it is there, and before any metric is made: the workers load the application.
        os.environ[MULTIPROCESS_DIRECTORY_VARIABLE] = str(self.run_directory.path)
        name_process(f"master{number}")
        prepare_counters()
        # Where they agree on which of them runs a periodic task.
        os.environ[RUN_DIRECTORY_VARIABLE] = str(self.run_directory.path)
        if number > 0:
            # Another master serves, until somebody stops it (SIGUSR2). Its slots and the port of
            # its exporter are in use until then.
            self._first_slot = number * SLOTS_PER_MASTER
            self._exporter.bind_seconds = _UPGRADE_SECONDS
        self._boot = Boot(server.cfg.workers)
        RollingArbiter.adopt(server, on_tick=self._exporter.ensure_running)

    def when_ready(self, server: Arbiter) -> None:
        """Start the exporter; the sockets are open, no worker is there yet."""
        # What the master has loaded is in the memory of all workers, until one of them writes to it. A
        # collection would: it counts in each object.
        gc.collect()
        gc.freeze()
        self._exporter.ensure_running()

    def pre_fork(self, server: Arbiter, worker: SlipwayWorker) -> None:
        """Give the worker a slot that no living worker has."""
        used = (other.slot for other in server.WORKERS.values())
        last = self._first_slot + server.num_workers
        vacated = [slot for slot in self._vacated if slot <= last]
        worker.slot = find_free_slot(used, first=self._first_slot, vacated=vacated)
        if worker.slot in self._vacated:
            self._vacated.remove(worker.slot)
        worker.drain_seconds = self.drain_seconds
        worker.max_rss = self.max_rss
        worker.http_parser = self.http_parser
        worker.limits = self.limits
        worker.report = WorkerReport()
        worker.boot = self._boot
        worker.announcement = self.announcement
        count_start()

    def post_fork(self, server: Arbiter, worker: SlipwayWorker) -> None:
        """Tell the application in the worker which of how many workers it runs in."""
        take_slot(worker.slot)
        os.environ["SLIPWAY_WORKERS"] = str(server.num_workers)

    def child_exit(self, server: RollingArbiter, worker: SlipwayWorker) -> None:
        """Count it, keep its slot for the next, and forget what counted only while the worker lived."""
        if worker.pid not in server.retiring:
            self._vacated.append(worker.slot)
        mark_dead(worker.slot)
        count_exit(server.find_exit_reason(worker))

    def on_exit(self, server: Arbiter) -> None:
        """Leave nothing behind: neither a process nor files."""
        self._exporter.stop()
        self.run_directory.release()


@functools.cache
def build_master_hooks(
    *, name: str, metrics_host: str, metrics_port: int, log_level: str, log_format: LogFormat
) -> MasterHooks:
    """Return the hooks of this process.

    gunicorn reads its configuration again at each SIGHUP; the exporter and the claim on the run
    directory outlive that, so the same arguments give the same object.
    """
    return MasterHooks(
        name=name,
        metrics_host=metrics_host,
        metrics_port=metrics_port,
        log_level=log_level,
        log_format=log_format,
    )
