"""The index decides as a scan of all routes would: property tests against the plainest matcher."""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import framework.routing
from framework._defaults import MAX_FLOAT_CHARACTERS, MAX_INT_DIGITS
from tests.framework.routing import reference
from tests.framework.routing.driver import build_router, request
from tests.framework.routing.reference import Table, decide
from tests.framework.routing.strategies import path_lists, tables

IN_CI: Final = os.environ.get("CI", "").lower() in {"1", "true"}
# (routes, path) pairs that one run must have compared.
MIN_PAIRS: Final = 100_000 if IN_CI else 5_000
EXAMPLES: Final = 2_000 if IN_CI else 120
PATHS_PER_TABLE: Final = 30
METHODS: Final = ("GET", "HEAD", "POST", "DELETE", "BREW")


def compare(table: Table, paths: list[str]) -> int:
    """Compare router and reference for each path; return the number of pairs."""
    router = build_router(framework.routing, table)
    for number, path in enumerate(paths):
        method = METHODS[number % len(METHODS)]
        for each in {method, "GET"}:
            expected = decide(table, path, each)
            actual = request(router, path, each)
            if actual != expected:
                pytest.fail(f"{each} {path!r}: expected {expected}, got {actual} from {table}")
    return len(paths)


class Sampler:
    """Counts the pairs of one run of the property."""

    def __init__(self) -> None:
        self.pairs = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    )
    @given(data=st.data())
    def run(self, data: st.DataObject) -> None:
        table = data.draw(tables)
        paths = data.draw(path_lists(table, PATHS_PER_TABLE))
        self.pairs += compare(table, paths)


@pytest.mark.timeout(120)
def test_the_router_decides_as_the_linear_scan_does() -> None:
    sampler = Sampler()
    sampler.run()
    assert sampler.pairs >= MIN_PAIRS


def test_the_reference_knows_the_limits_in_force() -> None:
    assert reference.MAX_INT_DIGITS == MAX_INT_DIGITS
    assert reference.MAX_FLOAT_CHARACTERS == MAX_FLOAT_CHARACTERS
