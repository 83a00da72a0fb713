"""`python -m load`: put the running service under load and hold it to its promises.

Exit status 0 when every answer was right and every threshold was met, 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

# First of all, because it replaces parts of the standard library that the others import.
import locust  # noqa: F401 # isort: split

from load.locustfile import PERSONAS
from load.runner import run
from load.service import find_service_problem
from load.thresholds import Thresholds, find_problems, format_outcome

DEFAULT_REPORT: Final = Path(__file__).parent / "results" / "load.html"


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    default = Thresholds()
    parser = argparse.ArgumentParser(
        prog="python -m load",
        description="Put the running service under load and hold it to its promises.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--host",
        default=f"http://127.0.0.1:{os.environ.get('PORT') or 8000}",
        help="where the service is",
    )
    add("--users", type=positive(int), default=20, help="clients at the same time")
    add("--duration", type=positive(float), default=15.0, help="seconds")
    add("--spawn-rate", type=positive(float), default=20.0, help="clients that start in a second")
    add("--max-failures", type=int, default=default.max_failures, help="wrong answers, in all")
    add("--max-p95-ms", type=float, default=default.max_p95_ms, help="of each endpoint")
    add("--min-rps", type=float, default=default.min_rps, help="requests a second, in all")
    add("--report", type=Path, default=DEFAULT_REPORT, help="the HTML file to write")
    options = parser.parse_args(arguments)
    options.host = options.host.rstrip("/")
    if not options.host.startswith(("http://", "https://")):
        parser.error(f"--host {options.host!r} does not start with http:// or https://")
    return options


def positive(kind: type[int | float]) -> Callable[[str], float]:
    """Return a parser of numbers above zero for argparse."""

    def parse(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text!r} is not above zero")
        return value

    return parse


def find_report_problem(path: Path) -> str | None:
    """Return why the report cannot be written, with the remedy; its folder is made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            return None
    except OSError as error:
        return f"{str(path)!r} cannot be written ({error.strerror}); name another file: --report"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = parse_options(arguments)
    problem = find_service_problem(options.host) or find_report_problem(options.report)
    if problem is not None:
        print(f"load: {problem}", file=sys.stderr)
        return 1
    print(f"{options.users} users for {options.duration:g} s against {options.host}", flush=True)
    outcome = run(
        PERSONAS,
        host=options.host,
        users=options.users,
        spawn_rate=options.spawn_rate,
        seconds=options.duration,
        report=options.report,
    )
    print(f"\n{format_outcome(outcome)}\n\nreport: {options.report.resolve()}")
    thresholds = Thresholds(options.max_failures, options.max_p95_ms, options.min_rps)
    problems = list(find_problems(outcome, thresholds))
    for line in problems:
        print(f"FAIL  {line}", file=sys.stderr)
    if not problems:
        print("PASS  every answer was right and every threshold was met")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
