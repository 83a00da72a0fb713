"""Puts a URL under load for some seconds: with `wrk` when it is installed, else our own client."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from load.bench.peers import ROOT

CONNECTIONS: Final = 32
MARGIN_SECONDS: Final = 20


def find_client() -> str:
    """Return the name of the client that is used."""
    return "wrk" if shutil.which("wrk") else "load.bench.client"


def generate(url: str, seconds: float) -> tuple[int, float]:
    """Put a URL under load; return the number of requests and the seconds they took.

    Raises:
        RuntimeError: A response was not 200, or a connection broke.
    """
    if shutil.which("wrk"):
        whole = max(1, round(seconds))  # wrk takes no fractions
        return parse_wrk(_run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{whole}s", url], whole))
    command = [sys.executable, "-m", "load.bench.client", url]
    command += ["--connections", str(CONNECTIONS), "--seconds", f"{seconds:g}"]
    tally = json.loads(_run(command, seconds))
    if tally["errors"]:
        raise RuntimeError(f"{tally['errors']} of {tally['requests']} requests to {url} failed")
    return int(tally["requests"]), float(tally["seconds"])


def parse_wrk(output: str) -> tuple[int, float]:
    """Read the number of requests and the seconds out of wrk's report.

    Raises:
        RuntimeError: The report tells of an error, or is not one.
    """
    for complaint in ("Non-2xx", "Socket errors"):
        if complaint in output:
            line = next(line for line in output.splitlines() if complaint in line)
            raise RuntimeError(f"wrk saw errors: {line.strip()}")
    found = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m),", output)
    if found is None:
        raise RuntimeError(f"wrk's report is not understood: {output!r}")
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[found[3]]
    return int(found[1]), float(found[2]) * unit


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Let the processes that are started inside run on one core only (None: anywhere)."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def choose_cores() -> tuple[int | None, int | None]:
    """Return a core for the server and another for the client, None where that is impossible."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    cores = sorted(os.sched_getaffinity(0))
    return (cores[0], cores[1]) if len(cores) > 1 else (None, None)


def _run(command: list[str], seconds: float) -> str:
    result = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + MARGIN_SECONDS,
    )
    if result.returncode:
        raise RuntimeError(f"{command[0]} failed: {result.stderr.strip() or result.stdout.strip()}")
    return result.stdout
