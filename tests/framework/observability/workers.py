"""Worker processes that write metrics, and the merged result; run as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from framework.observability._merge import MetricsDirectory

# Counts requests until its input ends; `begin` lines leave a request in flight.
_WORKER = """
import os, sys
from framework.observability.metrics import Counter, http_metrics, set_build_info
greetings = Counter("greetings_total", "An application's own metric.")
metrics = http_metrics()
metrics.start_worker()
set_build_info(version="1", revision="r" + os.environ["SLIPWAY_WORKER_SLOT"])
print("ready", flush=True)
for line in sys.stdin:
    if line == "begin\\n":
        metrics.begin()
    else:
        for _ in range(int(line)):
            metrics.begin()
            metrics.end("GET", "/items/{id}", 200, 0.002)
            greetings.inc()
    print("done", flush=True)
"""


class Worker:
    """A process with a slot."""

    def __init__(self, directory: Path, slot: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(directory) | {"SLIPWAY_WORKER_SLOT": str(slot)},
        )
        self._expect("ready")

    def tell(self, command: str) -> None:
        """Run one command of the worker to its end."""
        if self._process.stdin is None:
            raise RuntimeError("the worker has no input")
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        self._expect("done")

    def kill(self) -> None:
        """End the process as an out-of-memory killer does."""
        self._process.kill()
        self._process.communicate(timeout=10)

    def _expect(self, word: str) -> None:
        if self._process.stdout is None or self._process.stdout.readline() != word + "\n":
            raise RuntimeError(f"the worker did not say {word!r}")


@contextmanager
def start_worker(directory: Path, slot: int) -> Iterator[Worker]:
    worker = Worker(directory, slot)
    try:
        yield worker
    finally:
        worker.kill()


def environment(directory: Path) -> dict[str, str]:
    return {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)}


def render(directory: Path) -> str:
    """Return all workers' metrics as the exporter adds them up."""
    return MetricsDirectory(directory).render().decode()


def read_samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return the value of each series, by name and labels; one that is there twice is a fault."""
    samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            if key in samples:
                raise ValueError(f"there are two {key!r}")
            samples[key] = sample.value
    return samples


def value(directory: Path, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    return read_samples(render(directory)).get((name, frozenset((labels or {}).items())))


def count_requests(directory: Path) -> float | None:
    labels = {"method": "GET", "route": "/items/{id}", "status": "200"}
    return value(directory, "http_requests_total", labels)
