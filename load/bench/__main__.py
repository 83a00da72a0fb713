"""`python -m load.bench`: dispatch beside the peers; also `core`, `server`, `channels`, `sockets`, `scrapes`.

Exit status 0 when the measurement ran, 1 when it could not, 2 with `--strict` when a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from load.bench.channels import add_channels_options, run_channels_bench
from load.bench.controller import BARE, FRAMEWORKS, OWN, Plan, measure
from load.bench.core.command import choose_rows, run_core_bench
from load.bench.figures import judge
from load.bench.peers import install
from load.bench.plot import draw
from load.bench.report import (
    PICTURE,
    RESULTS,
    build_document,
    describe_machine,
    format_bars,
    format_conditions,
    format_report,
    publish,
    write_document,
)
from load.bench.scrapes import add_scrapes_options, run_scrapes_bench
from load.bench.server import add_server_options, run_server_bench
from load.bench.sockets import add_sockets_options, run_sockets_bench

QUICK: Final = Plan(rounds=3, batch_seconds=0.0005)
EXIT_FAILED: Final = 1
EXIT_BAR_MISSED: Final = 2


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line. The common options may stand before or after the name of a suite."""
    parser = argparse.ArgumentParser(prog="python -m load.bench", description=__doc__)
    parser.set_defaults(
        rounds=None, quick=False, strict=False, output=RESULTS, publish=False, only=""
    )
    _add_common_options(parser, f"frameworks, separated by commas, of: {', '.join(FRAMEWORKS)}")
    subcommands = parser.add_subparsers(dest="command")
    core = subcommands.add_parser("core", help="the parts of a request, beside Starlette")
    _add_common_options(core, "rows, by parts of their names that are separated by semicolons")
    server = subcommands.add_parser("server", help="one worker under load")
    _add_common_options(server, argparse.SUPPRESS)
    add_server_options(server)
    channels = subcommands.add_parser("channels", help="broadcast to 1,000 subscribers")
    _add_common_options(channels, argparse.SUPPRESS)
    add_channels_options(channels)
    sockets = subcommands.add_parser("sockets", help="WebSockets through a real server")
    _add_common_options(sockets, argparse.SUPPRESS)
    add_sockets_options(sockets)
    scrapes = subcommands.add_parser("scrapes", help="a service whose metrics are scraped")
    _add_common_options(scrapes, argparse.SUPPRESS)
    add_scrapes_options(scrapes)
    options = parser.parse_args(arguments)
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}; it must be 1 or more")
    try:
        _resolve_only(options)
    except ValueError as error:
        parser.error(str(error))
    return options


def _add_common_options(parser: argparse.ArgumentParser, only: str) -> None:
    # Without defaults: those of a subcommand would replace what stands before its name.
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument("--rounds", type=int, help="rounds of batches (21)")
    parser.add_argument("--quick", action="store_true", help="a smoke test, no figures to believe")
    parser.add_argument("--strict", action="store_true", help="exit with 2 when a bar is missed")
    parser.add_argument("--output", type=Path, help="folder of the results")
    parser.add_argument("--publish", action="store_true", help="put the results into README.md")
    parser.add_argument("--only", help=only)


def _resolve_only(options: argparse.Namespace) -> None:
    names = [name for name in options.only.split(";" if options.command == "core" else ",") if name]
    if options.command == "core":
        options.rows = choose_rows(names)
        return
    options.frameworks = names or list(FRAMEWORKS)
    unknown = sorted(set(options.frameworks) - set(FRAMEWORKS))
    if unknown:
        raise ValueError(f"unknown framework {unknown[0]!r}; known are {', '.join(FRAMEWORKS)}")


def run_dispatch_bench(options: argparse.Namespace) -> bool:
    """Measure, print and write; return whether every bar is met."""
    names = options.frameworks
    has_peers = bool(set(names) - {OWN, BARE})
    # Everything runs on the same interpreter: the peers' environment also measures our framework.
    python = install() if has_peers else Path(sys.executable)
    plan = QUICK if options.quick else Plan(rounds=options.rounds or Plan().rounds)
    results = measure(dict.fromkeys(names, python), plan)
    document = build_document(results)
    write_document(document, options.output / "dispatch.json")
    machine = describe_machine()
    subtitle = (
        f"µs a request, median of {plan.rounds} rounds, bar: middle half; "
        f"{machine['cpu']}, Python {machine['python']}, {machine['date'][:10]}"
    )
    picture = draw(results, "Dispatch of one request", subtitle)
    (options.output / "dispatch.svg").write_text(picture, encoding="utf-8")
    bars = judge(results)
    report, verdict = format_report(results), format_bars(bars)
    print(f"{report}\n\n{verdict}\n\nwritten: {options.output}/dispatch.json and dispatch.svg")
    if options.publish:
        conditions = format_conditions(machine, results.versions.values())
        publish(
            "dispatch", f"{conditions}, {plan.rounds} rounds.\n\n{report}\n\n```\n{verdict}\n```"
        )
        PICTURE.write_text(picture, encoding="utf-8")
    return all(bar.is_met for bar in bars)


RUNS: Final = {
    None: run_dispatch_bench,
    "core": run_core_bench,
    "server": run_server_bench,
    "channels": run_channels_bench,
    "sockets": run_sockets_bench,
    "scrapes": run_scrapes_bench,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    options = parse_options(arguments)
    try:
        met = RUNS[options.command](options)
    except RuntimeError as error:
        print(f"load.bench: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_FAILED
    return EXIT_BAR_MISSED if options.strict and not met else 0


if __name__ == "__main__":
    sys.exit(main())
