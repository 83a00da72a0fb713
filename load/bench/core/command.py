"""`python -m load.bench core`: measure, judge, print, write."""

from __future__ import annotations

import argparse
from typing import Final

from load.bench.controller import Plan, measure
from load.bench.core.cases import list_cases
from load.bench.core.kit import LIBRARIES
from load.bench.core.report import format_core_report, judge_core
from load.bench.peers import install
from load.bench.report import (
    describe_machine,
    describe_run,
    format_bars,
    format_conditions,
    publish,
    write_document,
)

SUITE: Final = "load.bench.core.suite"
METHOD: Final = (
    "in-process, uvloop, CPU time of the whole process, scopes made for each request and their cost "
    "taken off; garbage collection on, start-up objects frozen; answers checked outside the clock"
)
CORE_PLAN: Final = Plan(rounds=21, batch_seconds=0.02)
QUICK_PLAN: Final = Plan(rounds=1, batch_seconds=0.0005)


def choose_rows(texts: list[str]) -> list[str]:
    """Return the names of the rows that have one of the texts in them, all without a text.

    A row that another one is measured against comes along.

    Raises:
        ValueError: a text that no row has.
    """
    cases = {case.name: case for case in list_cases()}
    for text in texts:
        if not any(text.lower() in name.lower() for name in cases):
            raise ValueError(f"no row has {text!r} in it; known are: {'; '.join(cases)}")
    chosen = {
        name for name in cases if not texts or any(text.lower() in name.lower() for text in texts)
    }
    for name in [*chosen]:
        reference = cases[name].added_to
        while reference is not None:
            chosen.add(reference)
            reference = cases[reference].added_to
    return [name for name in cases if name in chosen]


def run_core_bench(options: argparse.Namespace) -> bool:
    """Measure, print and write; return whether every bar is met."""
    plan = QUICK_PLAN if options.quick else CORE_PLAN
    plan = Plan(options.rounds or plan.rounds, plan.batch_seconds)
    # Both run on the same interpreter, in the environment of the peers.
    pythons = dict.fromkeys(LIBRARIES, install())
    results = measure(pythons, plan, suite=SUITE, rows=options.rows)
    bars = judge_core(results)
    document = describe_run(results, METHOD, bars)
    write_document(document, options.output / "core.json")
    report, verdict = format_core_report(results), format_bars(bars)
    print(f"{report}\n\n{verdict}\n\nwritten: {options.output / 'core.json'}")
    if options.publish:
        conditions = format_conditions(describe_machine(), results.versions.values())
        publish("core", f"{conditions}, {plan.rounds} rounds.\n\n{report}\n\n```\n{verdict}\n```")
    return all(bar.is_met for bar in bars)
