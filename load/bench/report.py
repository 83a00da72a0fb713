"""What a run leaves behind: tables on the terminal and a JSON file."""

from __future__ import annotations

import datetime as dt
import json
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from load.bench.cases import Case, list_cases
from load.bench.controller import FRAMEWORKS, OWN, Results
from load.bench.figures import Bar, find_fastest_peer, judge, pair, ratio_to_bare, summarise
from load.bench.peers import ROOT

RESULTS: Final = ROOT / "load" / "results"
README: Final = ROOT / "load" / "README.md"
PICTURE: Final = ROOT / "load" / "bench" / "dispatch.svg"
METHOD: Final = (
    "in-process, uvloop, CPU time of the thread; scope copied for each request and its cost taken "
    "off; garbage collection on, start-up objects frozen; answers checked outside the clock"
)


def describe_machine() -> dict[str, str]:
    """Name what the figures depend on besides the code: date, CPU, system, Python, revision."""
    return {
        "date": dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        "cpu": _find_cpu(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "revision": _find_revision(),
    }


def build_document(results: Results) -> dict[str, Any]:
    """Collect everything about a run of the dispatch suite in one JSON-ready document."""
    document = describe_run(results, METHOD, judge(results))
    for name, cases in document["figures"].items():
        for case, figure in cases.items():
            figure["x_bare"] = ratio_to_bare(results, name, case)
    document["fastest_peer"] = {
        case.name: find_fastest_peer(results, case.name) for case in list_cases(own=False)
    }
    return document


def describe_run(results: Results, method: str, bars: Iterable[Bar]) -> dict[str, Any]:
    """Collect what every suite has: the conditions, figures, bars and single samples of a run."""
    return {
        "machine": describe_machine(),
        "method": method,
        "rounds": results.plan.rounds,
        "batch_seconds": results.plan.batch_seconds,
        "versions": results.versions,
        "figures": {
            name: {row: asdict(summarise(samples)) for row, samples in rows.items()}
            for name, rows in results.samples.items()
        },
        "bars": [{**asdict(bar), "met": bar.is_met} for bar in bars],
        "samples": results.samples,
    }


def write_document(document: dict[str, Any], path: Path) -> None:
    """Write the document, making its folder when needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def publish(section: str, text: str, readme: Path = README) -> None:
    """Replace what stands between the two marks of a section of `load/README.md`.

    Raises:
        RuntimeError: The marks are not there.
    """
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    head, has_begin, rest = readme.read_text(encoding="utf-8").partition(begin)
    _, has_end, tail = rest.partition(end)
    if not (has_begin and has_end):
        raise RuntimeError(f"{readme} has no {begin!r} with an {end!r} after it: put them there")
    readme.write_text(f"{head}{begin}\n{text}\n{end}{tail}", encoding="utf-8")


def format_conditions(machine: dict[str, str], versions: Iterable[dict[str, str]]) -> str:
    """Write in one line when, on what and with which versions a run was made."""
    used = {name: version for entry in versions for name, version in entry.items()}
    parts = [machine["date"][:10], machine["cpu"], f"Python {machine['python']}"]
    parts += [f"{name} {used[name]}" for name in ("uvloop", "msgspec") if name in used]
    if machine["revision"]:
        parts.append(f"revision {machine['revision']}")
    return ", ".join(parts)


def format_report(results: Results) -> str:
    """Write the run as Markdown: the figures, the ratios, and our own larger tables."""
    names = [name for name in FRAMEWORKS if name in results.samples]
    common = list_cases(own=False)
    own = [case for case in list_cases(own=True) if case not in common]
    parts = ["µs a request, median ± half the interquartile range:", ""]
    parts += _format_figures(results, names, common)
    if OWN in names:
        parts += ["", "Ratios (median of the rounds):", "", *_format_ratios(results, common)]
        parts += ["", "Growth with the number of routes:", ""]
        parts += _format_figures(results, [OWN], own)
    return "\n".join(parts)


def format_bars(bars: Iterable[Bar]) -> str:
    """Write one line a bar: PASS or FAIL, the value, the limit, the promise."""
    return "\n".join(
        f"{'PASS' if bar.is_met else 'FAIL'}  {bar.value:5.2f}{bar.unit} "
        f"(at {'least' if bar.is_minimum else 'most'} {bar.limit}{bar.unit})  {bar.promise}"
        for bar in bars
    )


def _format_figures(results: Results, names: Sequence[str], cases: Sequence[Case]) -> list[str]:
    rows = [["case", *(_title(results, name) for name in names)]]
    for case in cases:
        figures = [summarise(results.samples[name][case.name]) for name in names]
        rows.append([case.name, *(f"{_round(f.median)} ± {_round(f.spread / 2)}" for f in figures)])
    return format_table(rows)


def _format_ratios(results: Results, cases: Sequence[Case]) -> list[str]:
    rows = [["case", "to the bare callable", "to the fastest peer", "which is"]]
    for case in cases:
        bare = ratio_to_bare(results, OWN, case.name)
        peer = find_fastest_peer(results, case.name)
        cells = [case.name, f"{bare:.2f}x" if bare is not None else "-"]
        if peer is None:
            cells += ["-", "-"]
        else:
            samples = results.samples
            cells += [f"{pair(samples[OWN][case.name], samples[peer][case.name]):.2f}x", peer]
        rows.append(cells)
    return format_table(rows)


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align the rows as a Markdown table; the first row is its head, numbers stand to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines.insert(1, f"| {' | '.join(rule)} |")
    return lines


def _title(results: Results, name: str) -> str:
    return f"{name} {results.versions[name]['version']}".strip()


def _round(microseconds: float) -> str:
    return f"{microseconds:.0f}" if microseconds >= 100 else f"{microseconds:.2f}"


def _find_cpu() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _find_revision() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""
