"""Processes that share the memory of a rate limit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Each line of the input is a piece of Python to run; its `result` is printed.
_WORKER = """
import sys, time
from pathlib import Path
import anyio
from framework import folders
from framework.rate_limits import Bucket, RateLimit, SharedMemoryStore, StoreUnavailable, memory

def open_store(name, **options):
    return SharedMemoryStore(name, directory=sys.argv[1], **options)

async def take(store, key, requests, seconds=3600, tries=1):
    limit = RateLimit(requests, seconds)
    taken = 0
    for _ in range(tries):
        while True:
            try:
                taken += (await store.take([Bucket(key, limit.interval, limit.size)])).is_allowed
                break
            except StoreUnavailable:  # the machine is busy: that is not what this is about
                pass
    return taken

def run(*args):
    return anyio.run(take, *args)

print("ready", flush=True)
for line in sys.stdin:
    exec(line)
    print(repr(result), flush=True)
"""


class Worker:
    """A process."""

    def __init__(self, directory: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, code: str) -> None:
        """Run a line of code that sets `result`."""
        if self.process.stdin is None:
            raise RuntimeError("the worker has no input")
        self.process.stdin.write(code + "\n")
        self.process.stdin.flush()

    def wait(self) -> str:
        """Return the next line of the output."""
        if self.process.stdout is None:
            raise RuntimeError("the worker has no output")
        return self.process.stdout.readline().rstrip("\n")


@contextmanager
def run_workers(number: int, directory: Path) -> Iterator[list[Worker]]:
    """Start processes; they are at the same point when this begins and gone when it ends."""
    workers = [Worker(directory) for _ in range(number)]
    try:
        for worker in workers:
            if worker.wait() != "ready":
                raise RuntimeError("a worker has failed to start")
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()


def run_all(workers: list[Worker], code: str) -> list[str]:
    """Run the same line in all at once and return what each says."""
    for worker in workers:
        worker.start(code)
    return [worker.wait() for worker in workers]
