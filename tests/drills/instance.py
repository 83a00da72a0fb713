"""An instance of the drills' application: our worker, or the stock one."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Self

from tests.drills.client import Client, ExchangeFailed
from tests.e2e.service import GUNICORN, Service, wait_for

STOCK: Final = (*GUNICORN[:-1], "tests/drills/stock.conf.py")

_PATIENCE_SECONDS: Final = 20.0
_CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Instance(Service):
    """A service of two workers; its output and the marks of its workers go to a folder.

    Args:
        folder: is made.
        stock: with the stock worker.
        options: of gunicorn's command line.
        settings: variables of the environment.
    """

    def __init__(
        self, folder: Path, *, stock: bool, options: Iterable[str] = (), **settings: object
    ) -> None:
        folder.mkdir()
        self.is_stock = stock
        self.count_workers = int(str(settings.get("WEB_CONCURRENCY", 2)))
        env = {name: str(value) for name, value in settings.items()}
        super().__init__(
            folder,
            (*(STOCK if stock else GUNICORN), *options, "tests.drills.sample:app"),
            {"METRICS_PORT": "0", "DRAIN_SECONDS": "1", **env},
        )

    @property
    def started(self) -> list[int]:
        """The processes whose start-up was complete, dead ones too."""
        return [int(path.name.partition("-")[2]) for path in self.folder.glob("startup-*")]

    @property
    def alive(self) -> list[int]:
        """The workers that live and have started."""
        return [pid for pid in self.started if is_alive(pid)]

    def has_shut_down(self, pid: int) -> bool:
        return (self.folder / f"shutdown-{pid}").exists()

    def _is_up_or_over(self) -> bool:
        return len(self.started) >= self.count_workers or self._process.poll() is not None


class Daemon(Instance):
    """A service in the background, where the master takes `SIGWINCH`; its processes tell their ids.

    Args:
        folder: is made.
        stock: with the stock worker.
        settings: variables of the environment.
    """

    def __init__(self, folder: Path, *, stock: bool, **settings: object) -> None:
        options = ("--daemon", "--enable-stdio-inheritance", "--pid", str(folder / "pid"))
        super().__init__(folder, stock=stock, options=options, **settings)

    @property
    def pid(self) -> int:
        """The first master; 0 in the moment in which the second becomes it."""
        return self._read("pid")

    @property
    def second(self) -> int:
        """The master that `SIGUSR2` has started; 0 without one."""
        return self._read("pid.2")

    def _read(self, name: str) -> int:
        try:
            return int((self.folder / name).read_text() or 0)
        except FileNotFoundError:
            return 0

    def wait_until_up(self) -> Self:
        # What was started has ended when the master is in the background.
        wait_for(lambda: len(self.started) >= self.count_workers, "the service is up")
        return self


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read_cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def read_rss(pid: int) -> int:
    """Return the resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def count_descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def until(
    condition: Callable[[], object], what: str, patience: float = _PATIENCE_SECONDS
) -> float:
    """Wait until the condition is true and return the seconds; `what` says what did not happen."""
    begun_at = time.monotonic()
    while not condition():
        if time.monotonic() - begun_at > patience:
            raise TimeoutError(f"not within {patience:g} s: {what}")
        await asyncio.sleep(0.02)
    return time.monotonic() - begun_at


async def find_worker(client: Client) -> int:
    """Return the process behind the first idle connection, which is opened if need be."""
    return int((await client.fetch("/")).fields["x-worker"])


async def ask_until_answered(client: Client, path: str, patience: float) -> float:
    """Ask over fresh connections until the answer is 200; return the seconds."""
    begun_at = time.monotonic()
    while time.monotonic() - begun_at < patience:
        with contextlib.suppress(ExchangeFailed):
            if (await client.fetch(path, fresh=True)).status == 200:
                return time.monotonic() - begun_at
        await asyncio.sleep(0.05)
    raise TimeoutError(f"not within {patience:g} s: an answer to {path}")
