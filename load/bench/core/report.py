"""The table of the core suite and the verdict on its bars."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Final

from load.bench.controller import OWN, Results
from load.bench.core.case import Case
from load.bench.core.cases import list_cases
from load.bench.figures import Bar, Figure, pair, summarise
from load.bench.report import format_table

REFERENCE: Final = "starlette"
US_PER_MS: Final = 1_000


def judge_core(results: Results) -> list[Bar]:
    """Compare what was measured with every promise of its case."""
    return [bar for case in _list_measured(results) for bar in _judge(results, case)]


def _judge(results: Results, case: Case) -> Iterator[Bar]:
    own = results.samples[OWN]
    reference = results.samples.get(REFERENCE, {})
    if case.faster is not None and case.name in reference:
        ratio = pair(reference[case.name], own[case.name])
        yield Bar(f"{case.name}: as fast as Starlette", case.faster, ratio, is_minimum=True)
    if case.at_most is not None:
        value = scale(case, find_undisturbed(results, OWN, case))
        promise = case.name if case.added_to is None else f"{case.name}: added to {case.added_to}"
        yield Bar(promise, case.at_most, value, f" {case.unit}")


def find_added(results: Results, name: str, case: Case) -> float:
    """Return the median of a row, less that of the row it is measured against, round by round."""
    samples = results.samples[name]
    if case.added_to is None:
        return statistics.median(samples[case.name])
    pairs = zip(samples[case.name], samples[case.added_to], strict=True)
    return statistics.median(with_it - without for with_it, without in pairs)


def find_undisturbed(results: Results, name: str, case: Case) -> float:
    """Return what a row costs when nothing else is going on: the same with lower quartiles.

    Other work of the machine only adds to a time. Ratios are free of it, times are not.
    """
    samples = results.samples[name]
    less = 0.0 if case.added_to is None else summarise(samples[case.added_to]).low
    return summarise(samples[case.name]).low - less


def format_core_report(results: Results) -> str:
    """Write the run as Markdown: what both do, then what only ours does."""
    cases = _list_measured(results)
    common = [case for case in cases if not case.is_own]
    parts = ["One time, median ± half the interquartile range (µs unless it says otherwise):", ""]
    parts += format_table([*_list_rows(results, common)])
    own = [case for case in cases if case.is_own]
    if own:
        parts += ["", "Ours alone:", "", *format_table([*_list_own_rows(results, own)])]
    return "\n".join(parts)


def _list_rows(results: Results, cases: list[Case]) -> Iterator[list[str]]:
    version = results.versions[REFERENCE]["version"]
    yield ["row", OWN, f"{REFERENCE} {version}", "times as fast", "at least"]
    for case in cases:
        own, reference = (results.samples[name][case.name] for name in (OWN, REFERENCE))
        # Nothing at all is a good figure for memory and no divisor.
        ratio = f"{pair(reference, own):.2f}x" if case.unit != "MB" else "-"
        bar = f"{case.faster:g}x" if case.faster is not None else ""
        figures = (format_figure(case, summarise(samples)) for samples in (own, reference))
        yield [case.name, *figures, ratio, bar]


def _list_own_rows(results: Results, cases: list[Case]) -> Iterator[list[str]]:
    yield ["row", OWN, "added", "to"]
    for case in cases:
        figure = format_figure(case, summarise(results.samples[OWN][case.name]))
        added = scale(case, find_added(results, OWN, case))
        yield [case.name, figure, f"{added:.2f}", case.added_to or ""]


def format_figure(case: Case, figure: Figure) -> str:
    """Write a figure with its spread and, unless it is µs, its unit."""
    median, half = scale(case, figure.median), scale(case, figure.spread / 2)
    digits = 0 if median >= 100 else 1 if median >= 10 else 2
    unit = "" if case.unit == "µs" else f" {case.unit}"
    return f"{median:,.{digits}f} ± {half:,.{digits}f}{unit}"


def scale(case: Case, value: float) -> float:
    """Return a value that was measured (µs or MB) in the unit of its case."""
    return value / US_PER_MS if case.unit == "ms" else value


def _list_measured(results: Results) -> list[Case]:
    return [case for case in list_cases() if case.name in results.samples[OWN]]
