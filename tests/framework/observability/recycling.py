"""A master of its own: forks workers that count, kills them, and reads their metrics all the time.

Run as a process: `python -m tests.framework.observability.recycling 200`. It prints what it saw as JSON.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Final

from framework.observability._merge import MetricsDirectory
from framework.observability.metrics import HttpMetrics, http_metrics, mark_dead

WORKERS: Final = 4
ROUTES: Final = 40
LEAST_REQUESTS: Final = 10_000


class Master:
    """Workers in slots, each with a count of its own in shared memory."""

    def __init__(self, directory: Path, metrics: HttpMetrics) -> None:
        self._metrics = metrics
        self._reader = MetricsDirectory(directory)
        self._counts = mmap.mmap(-1, 8 * WORKERS)
        self._pids: dict[int, int] = {}
        self._pid = os.getpid()
        self._before: dict[str, float] = {}
        self.backwards: list[str] = []
        self.scrapes = 0

    def fork(self, slot: int) -> None:
        """Start a worker that counts until it is killed."""
        pid = os.fork()
        if pid == 0:
            os.environ["SLIPWAY_WORKER_SLOT"] = str(slot)
            self._work(slot)
        self._pids[slot] = pid

    def kill(self, slot: int) -> None:
        """Kill a worker while it counts, and forget it as the server does."""
        os.kill(self._pids[slot], signal.SIGKILL)
        os.waitpid(self._pids[slot], 0)
        mark_dead(slot)

    def scrape(self) -> dict[str, float]:
        """Read all metrics; note each number that only grows and is smaller than before."""
        lines = self._reader.render().decode().splitlines()
        pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
        samples = {name: float(value) for name, value in pairs}
        self.scrapes += 1
        for key, before in self._before.items():
            if samples.get(key, -1.0) < before:
                self.backwards.append(f"{key}: {before} -> {samples.get(key)}")
        self._before = {key: v for key, v in samples.items() if key != "http_requests_in_flight"}
        return samples

    def count(self) -> int:
        """How many requests the workers say that they have had."""
        return sum(struct.unpack(f"{WORKERS}q", self._counts))

    def _work(self, slot: int) -> None:
        os.nice(10)
        metrics = self._metrics
        (done,) = struct.unpack_from("q", self._counts, slot * 8)
        while os.getppid() == self._pid:
            for route in range(ROUTES):
                metrics.begin()
                metrics.end("GET", f"/{route}", 200, 0.0001 * route, 1, 1)
                done += 1
                self._counts[slot * 8 : slot * 8 + 8] = struct.pack("q", done)
        os._exit(1)


def main(kills: int) -> None:
    """Kill workers so many times and print what the scrapes in between have shown."""
    directory = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    master = Master(directory, http_metrics())
    for slot in range(WORKERS):
        master.fork(slot)
    numbers = random.Random(7)
    for turn in range(kills):
        time.sleep(numbers.random() * 0.01)
        if turn == kills - WORKERS:  # however little processor they are given
            while master.count() <= LEAST_REQUESTS:
                time.sleep(0.01)
        master.kill(turn % WORKERS)
        if turn < kills - WORKERS:
            master.fork(turn % WORKERS)
        if turn % 4 == 0:
            master.scrape()
    samples = master.scrape()
    counts = [v for name, v in samples.items() if name.startswith("http_requests_total{")]
    durations = "http_request_duration_seconds_count{"
    result = {
        "counted": sum(counts),
        "observed": sum(v for name, v in samples.items() if name.startswith(durations)),
        "series": len(counts),
        "in_flight": samples.get("http_requests_in_flight", 0.0),
        "own": master.count(),
        "backwards": master.backwards,
        "scrapes": master.scrapes,
        "files": sorted(path.name for path in directory.glob("*.db")),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]))
