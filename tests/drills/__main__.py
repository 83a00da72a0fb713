"""`python -m tests.drills`: let real services meet what services meet.

Exit status 0 when every drill has reached its bars, 1 otherwise; with `--stock` always 0.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import uvloop

from tests.drills.cases.blocked import run_blocked
from tests.drills.cases.descriptors import run_descriptors
from tests.drills.cases.kill import run_kill
from tests.drills.cases.overload import run_overload
from tests.drills.cases.recycling import run_recycling
from tests.drills.cases.reload import run_reload
from tests.drills.cases.respawn import run_respawn
from tests.drills.cases.signals import run_signals
from tests.drills.cases.slow import run_slow
from tests.drills.cases.soak import run_soak
from tests.drills.cases.stop import run_proxy, run_stop
from tests.drills.report import Drill, Report

DRILLS: Final[dict[str, Drill]] = {
    "stop": run_stop,
    "proxy": run_proxy,
    "reload": run_reload,
    "recycling": run_recycling,
    "kill": run_kill,
    "blocked": run_blocked,
    "respawn": run_respawn,
    "signals": run_signals,
    "slow": run_slow,
    "overload": run_overload,
    "descriptors": run_descriptors,
    "soak": run_soak,
}

_MAX_DRILL_SECONDS: Final = 90.0


def run_drill(name: str, folder: Path, *, stock: bool) -> Report:
    """Run one drill in an event loop of its own."""
    folder.mkdir()
    report = Report(name, folder, stock=stock)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_limit(DRILLS[name], report))
    except (OSError, AssertionError) as exc:
        # A time-out, mostly: something did not happen at all.
        reason = str(exc).partition("\n")[0]
        report.expect(False, f"it comes to its end ({type(exc).__name__}: {reason})")
    return report


async def _limit(drill: Drill, report: Report) -> None:
    async with asyncio.timeout(_MAX_DRILL_SECONDS):
        await drill(report)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.drills", description="Let real services meet what services meet."
    )
    parser.add_argument("names", nargs="*", metavar="DRILL", help=", ".join(DRILLS))
    parser.add_argument("--stock", action="store_true", help="with uvicorn_worker.UvicornWorker")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - DRILLS.keys()
    if unknown:
        parser.error(f"no drill is called {', '.join(sorted(unknown))}: choose from {list(DRILLS)}")
    begun_at = time.monotonic()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="drills-") as folder:
        for name in dict.fromkeys(options.names or DRILLS):
            report = run_drill(name, Path(folder) / name, stock=options.stock)
            failed += bool(report.problems)
            sys.stdout.write(f"{report.format()}\n")
            sys.stdout.flush()
    seconds = time.monotonic() - begun_at
    sys.stdout.write(f"{failed} drills failed; {seconds:.0f} s\n")
    return 1 if failed and not options.stock else 0


if __name__ == "__main__":
    sys.exit(main())
