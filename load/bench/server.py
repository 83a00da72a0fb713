"""One gunicorn worker under load: what our protocol and our application cost beside stock ones.

Four servers with one worker each run on one core, the client on another. They are loaded in turns,
so that a slow moment of the machine hits all alike. For each the requests a second are reported and,
on Linux, the CPU time of the worker process per request, which other programs disturb less.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from load.bench.figures import pair
from load.bench.generator import choose_cores, find_client, generate, pinned
from load.bench.peers import ROOT
from load.bench.report import (
    describe_machine,
    format_conditions,
    format_table,
    publish,
    write_document,
)

STOCK_WORKER: Final = "uvicorn_worker.UvicornWorker"
OWN_WORKER: Final = "framework.server.worker.SlipwayWorker"
EXPECTED_BODY: Final = b'{"message":"Hello, world!"}'
START_SECONDS: Final = 20
STOP_SECONDS: Final = 10

Sample = tuple[float, float | None]


@dataclass(frozen=True, slots=True)
class Setup:
    """What runs behind gunicorn."""

    name: str
    target: str
    worker: str


REFERENCE: Final = Setup("bare callable, stock worker", "load.bench.served:bare", STOCK_WORKER)
HARDENED: Final = Setup("bare callable, our worker", "load.bench.served:bare", OWN_WORKER)
OWN: Final = Setup("App, our worker", "load.bench.served:app", OWN_WORKER)
OBSERVED: Final = Setup(
    "App with request id, access line, metrics", "load.bench.served:build_observed()", OWN_WORKER
)
SETUPS: Final = (REFERENCE, HARDENED, OWN, OBSERVED)


@dataclass(frozen=True, slots=True)
class Bar:
    """What is promised of a set-up: requests a second, at least so many times those of the first."""

    setup: Setup
    ratio: float
    promise: str

    def judge(self, samples: dict[str, list[Sample]]) -> tuple[bool, str]:
        """Return whether the promise is kept, and a line that says so."""
        rates = {name: [rate for rate, _ in values] for name, values in samples.items()}
        ratio = pair(rates[self.setup.name], rates[REFERENCE.name])
        met = ratio >= self.ratio
        verdict = "PASS" if met else "FAIL"
        return met, f"{verdict}  {ratio:.2f}x (at least {self.ratio}x): {self.promise}."


BARS: Final = (
    Bar(HARDENED, 1.0, "the hardened protocol beside the stock one, both with a bare callable"),
    Bar(OWN, 0.95, "App on our worker beside a bare callable on the stock worker"),
)


class Server:
    """A gunicorn master with one worker, on a free port of the loopback interface."""

    __slots__ = ("folder", "log", "process", "setup", "url", "worker_pid")

    def __init__(self, setup: Setup, folder: Path) -> None:
        self.setup = setup
        self.folder = folder
        port = find_free_port()
        self.url = f"http://127.0.0.1:{port}/json"
        self.worker_pid: int | None = None
        folder.mkdir()
        self.log = folder / "log"
        # Nothing of the caller's settings may reach one server and not another.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GUNICORN_")}
        environment |= {"PYTHONPATH": str(ROOT), "PROMETHEUS_MULTIPROC_DIR": str(folder)}
        command = [sys.executable, "-m", "gunicorn", "--workers=1", f"--bind=127.0.0.1:{port}"]
        command += [f"--worker-class={setup.worker}", "--no-control-socket", "--log-level=warning"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, setup.target],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        """Wait for the right answer, outside every clock.

        Raises:
            RuntimeError: It does not come.
        """
        deadline = time.monotonic() + START_SECONDS
        body = None
        while body is None and time.monotonic() < deadline and self.process.poll() is None:
            time.sleep(0.05)
            body = fetch(self.url)
        if body != EXPECTED_BODY:
            words = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"{self.setup.name} answers {body!r}; its log ends with:\n{words}")
        self.worker_pid = find_child(self.process.pid)

    def measure(self, seconds: float, core: int | None) -> Sample:
        """Load it; return requests a second and µs of the worker's CPU time per request."""
        before = read_cpu_seconds(self.worker_pid)
        with pinned(core):
            requests, elapsed = generate(self.url, seconds)
        after = read_cpu_seconds(self.worker_pid)
        if before is None or after is None:
            return requests / elapsed, None
        return requests / elapsed, (after - before) / requests * 1e6

    def stop(self) -> None:
        """End the master, which ends its worker."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m load.bench server`."""
    parser.add_argument("--turns", type=int, default=9, help="turns of each server (9)")
    parser.add_argument("--seconds", type=float, default=2.0, help="seconds of a turn (2)")


def run_server_bench(options: argparse.Namespace) -> bool:
    """Measure, print and write; return whether the bars are met."""
    turns, seconds = (1, 0.2) if options.quick else (options.turns, options.seconds)
    samples = measure_servers(SETUPS, turns, seconds)
    verdicts = [bar.judge(samples) for bar in BARS]
    report = "\n".join(
        [
            f"JSON route, client {find_client()}, {turns} turns of {seconds:g} s each:\n",
            *format_table(build_rows(samples)),
            "",
            *(line for _, line in verdicts),
            f"Request id, access line and metrics add {find_added(samples):.1f} µs to a request.",
        ]
    )
    machine = describe_machine()
    document = {"machine": machine, "client": find_client(), "samples": samples}
    write_document(document, options.output / "server.json")
    print(f"{report}\n\nwritten: {options.output / 'server.json'}")
    if options.publish:
        publish("server", f"{format_conditions(machine, [])}.\n\n{report}")
    return all(met for met, _ in verdicts)


def measure_servers(setups: Sequence[Setup], turns: int, seconds: float) -> dict[str, list[Sample]]:
    """Start all servers and load them in turns; the samples are by the name of the set-up."""
    server_core, client_core = choose_cores()
    samples: dict[str, list[Sample]] = {setup.name: [] for setup in setups}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        servers = []
        for number, setup in enumerate(setups):
            with pinned(server_core):
                servers.append(Server(setup, folder / str(number)))
            stack.callback(servers[-1].stop)
        for server in servers:
            server.wait_until_ready()
            server.measure(seconds / 4, client_core)
        for turn in range(turns):
            first = turn % len(servers)
            for server in [*servers[first:], *servers[:first]]:
                samples[server.setup.name].append(server.measure(seconds, client_core))
    return samples


def build_rows(samples: dict[str, list[Sample]]) -> list[list[str]]:
    """Return the table of a run: medians, and ratios paired turn by turn."""
    rows = [["one worker on one core", "requests/s", "to the first", "µs CPU a request"]]
    reference = [rate for rate, _ in samples[REFERENCE.name]]
    for name, values in samples.items():
        rates = [rate for rate, _ in values]
        cpu = median_cpu(values)
        rows.append(
            [
                name,
                f"{statistics.median(rates):,.0f}",
                f"{pair(rates, reference):.2f}x",
                "-" if cpu is None else f"{cpu:.1f}",
            ]
        )
    return rows


def find_added(samples: dict[str, list[Sample]]) -> float:
    """Return the µs that observability adds to a request.

    From CPU time where it is known, else from the requests a second of a worker that fills its core.
    """
    plain, observed = median_cpu(samples[OWN.name]), median_cpu(samples[OBSERVED.name])
    if plain is not None and observed is not None:
        return observed - plain
    pairs = zip(samples[OBSERVED.name], samples[OWN.name], strict=True)
    return statistics.median(1e6 / slow - 1e6 / fast for (slow, _), (fast, _) in pairs)


def median_cpu(values: Sequence[Sample]) -> float | None:
    """Return the median CPU time per request, None when it was not measured."""
    known = [cpu for _, cpu in values if cpu is not None]
    return statistics.median(known) if known else None


def find_free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fetch(url: str) -> bytes | None:
    """Return the body of a 200, None while nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - our own http URL
            body: bytes = response.read()
            return body
    except (urllib.error.URLError, OSError):
        return None


def find_child(pid: int) -> int | None:
    """Return the first child of a process where the system tells it (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    if not children.exists():
        return None
    pids = children.read_text(encoding="ascii").split()
    return int(pids[0]) if pids else None


def read_cpu_seconds(pid: int | None) -> float | None:
    """Return the CPU time that a process has used so far, all threads, None where unknown."""
    if pid is None:
        return None
    # The clock of another process: what clock_getcpuclockid(3) computes on Linux.
    return time.clock_gettime((~pid << 3) | 2)
