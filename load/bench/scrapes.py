"""A service under steady load while its metrics are scraped: how long that takes, and who notices.

The deployed service with eight workers and 5,000 series in each of them. A client asks one request after
the other on each of its connections, in turns with and without a scraper in a process of its own; the 99th
percentiles of all requests with and without are compared.

`python -m load.bench.scrapes URL SECONDS` is the scraper: it prints the seconds of each scrape as JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from load.bench.peers import ROOT
from load.bench.report import (
    describe_machine,
    format_conditions,
    format_table,
    publish,
    write_document,
)
from load.bench.server import START_SECONDS, STOP_SECONDS, fetch, find_free_port

TARGET: Final = "load.bench.served:build_scraped()"
WORKERS: Final = 8
SERIES: Final = 5000
CONNECTIONS: Final = 4
PAUSE_SECONDS: Final = 0.005

# The exporter renders once in a second at most; what comes in between is answered from memory.
SCRAPE_INTERVAL_SECONDS: Final = 1.05

SCRAPE_BAR_MS: Final = 100.0
P99_BAR: Final = 1.2


def add_scrapes_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `python -m load.bench scrapes`."""
    parser.add_argument("--turns", type=int, default=9, help="turns with and without scrapes (9)")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of a turn (5)")


def run_scrapes_bench(options: argparse.Namespace) -> bool:
    """Measure, print and write; return whether the bars are met."""
    turns, seconds = (1, 1.2) if options.quick else (options.turns, options.seconds)
    alone: list[float] = []
    scraped: list[float] = []
    scrapes: list[float] = []
    with run_service() as (port, metrics_port):
        load(port, 1.0)
        for turn in range(turns):
            for is_scraped in (False, True) if turn % 2 else (True, False):
                if is_scraped:
                    with scrape_beside(metrics_port, seconds) as taken:
                        scraped += load(port, seconds)
                    scrapes += taken
                else:
                    alone += load(port, seconds)
    ratio = find_p99(scraped) / find_p99(alone)
    median, slowest = statistics.median(scrapes) * 1000, max(scrapes) * 1000
    bars = [
        (median <= SCRAPE_BAR_MS, f"{median:.0f} ms (at most {SCRAPE_BAR_MS:g} ms): a scrape"),
        (ratio <= P99_BAR, f"{ratio:.2f}x (at most {P99_BAR}x): p99 while scrapes are taken"),
    ]
    rows = [
        ["ms", "median", "p99", "slowest"],
        ["requests", *describe(alone)],
        ["requests while scrapes are taken", *describe(scraped)],
        ["scrapes", f"{median:.2f}", "", f"{slowest:.2f}"],
    ]
    conditions = (
        f"{WORKERS} workers, {SERIES:,} series in each, {turns} turns of {seconds:g} s each:"
    )
    verdicts = [f"{'PASS' if met else 'FAIL'}  {text}." for met, text in bars]
    report = "\n".join([conditions, "", *format_table(rows), "", *verdicts])
    machine = describe_machine()
    document = {"machine": machine, "alone": alone, "scraped": scraped, "scrapes": scrapes}
    write_document(document, options.output / "scrapes.json")
    print(f"{report}\n\nwritten: {options.output / 'scrapes.json'}")
    if options.publish:
        publish("scrapes", f"{format_conditions(machine, [])}.\n\n{report}")
    return all(met for met, _ in bars)


@contextmanager
def run_service() -> Iterator[tuple[int, int]]:
    """Start the service; yield its port and that of its metrics.

    Raises:
        RuntimeError: It does not answer.
    """
    port, metrics_port = find_free_port(), find_free_port()
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    command = [sys.executable, gunicorn, "--config", "deploy/gunicorn.conf.py", TARGET]
    ports = {"PORT": str(port), "METRICS_PORT": str(metrics_port)}
    folder = Path(tempfile.mkdtemp())
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "WEB_CONCURRENCY": str(WORKERS), **ports},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_ready(process, port, metrics_port)
        yield port, metrics_port
    except RuntimeError as error:
        words = (folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{error}; the log of the service ends with:\n{words}") from None
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, metrics_port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    text = b""
    while (
        text.count(b"\nscraped_things_") < SERIES or fetch(f"http://127.0.0.1:{port}/json") is None
    ):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the service does not start")
        time.sleep(0.2)
        text = fetch(f"http://127.0.0.1:{metrics_port}/metrics") or b""


def load(port: int, seconds: float) -> list[float]:
    """Ask on all connections, with pauses, for so long; return the seconds of each request."""
    results: list[list[float]] = [[] for _ in range(CONNECTIONS)]
    threads = [threading.Thread(target=_ask, args=(port, seconds, each)) for each in results]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [each for result in results for each in result]
    if not all(results):
        raise RuntimeError("a connection broke")
    return taken


def _ask(port: int, seconds: float, taken: list[float]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        connection.request("GET", "/json")
        connection.getresponse().read()
        taken.append(time.perf_counter() - begun)
        time.sleep(PAUSE_SECONDS)
    connection.close()


@contextmanager
def scrape_beside(metrics_port: int, seconds: float) -> Iterator[list[float]]:
    """Scrape in another process meanwhile; the list is filled at the end."""
    url = f"http://127.0.0.1:{metrics_port}/metrics"
    command = [sys.executable, "-m", "load.bench.scrapes", url, f"{seconds:g}"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if process.stdout is None or process.stdout.readline() != "begin\n":
        raise RuntimeError("the scraper does not start")
    taken: list[float] = []
    yield taken
    taken += json.loads(process.communicate(timeout=seconds + STOP_SECONDS)[0])


def find_p99(taken: list[float]) -> float:
    """Return the 99th percentile in milliseconds."""
    return statistics.quantiles(taken, n=100)[-1] * 1000


def describe(taken: list[float]) -> list[str]:
    """Return median, 99th percentile and largest as cells, in milliseconds."""
    numbers = (statistics.median(taken) * 1000, find_p99(taken), max(taken) * 1000)
    return [f"{number:.2f}" for number in numbers]


def main(url: str, seconds: float) -> None:
    """Scrape once a second; print how long each took."""
    print("begin", flush=True)
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.perf_counter()
        with urllib.request.urlopen(url, timeout=START_SECONDS) as response:  # noqa: S310 - our own
            response.read()
        taken.append(time.perf_counter() - begun)
        time.sleep(SCRAPE_INTERVAL_SECONDS)
    print(json.dumps(taken))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
