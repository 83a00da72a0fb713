"""The index decides as a scan of all routes would: property tests against the plainest matcher."""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import Phase, given, settings, strategies as st

import framework.routing
from framework._defaults import MAX_FLOAT_CHARACTERS, MAX_INT_DIGITS
from tests.framework.routing import reference
from tests.framework.routing.driver import build_router, request
from tests.framework.routing.reference import Outcome, RouteSpec, Table, decide
from tests.framework.routing.strategies import path_lists, tables

IN_CI: Final = os.environ.get("CI", "").lower() in {"1", "true"}
# (routes, path) pairs that one run must have compared.
MIN_PAIRS: Final = 100_000 if IN_CI else 5_000
EXAMPLES: Final = 900 if IN_CI else 60
PATHS_PER_TABLE: Final = 60
METHODS: Final = ("GET", "HEAD", "POST", "DELETE", "BREW")


def find_difference(table: Table, path: str, method: str) -> tuple[Outcome, Outcome] | None:
    """Return what was expected and what came out, None when they are the same."""
    expected = decide(table, path, method)
    actual = request(build_router(framework.routing, table), path, method)
    return None if actual == expected else (expected, actual)


def explain(table: Table, path: str, method: str) -> str:
    """Describe a difference by as few routes as show it."""
    for spec in table:
        fewer = tuple(other for other in table if other is not spec)
        if find_difference(fewer, path, method) is not None:
            table = fewer
    expected, actual = find_difference(table, path, method) or (None, None)
    routes = "\n  ".join(map(repr, table))
    return f"{method} {path!r}\nexpected {expected}\ngot      {actual}\nfrom\n  {routes}"


def compare(table: Table, paths: list[str]) -> int:
    """Compare router and reference for each path; return the number of pairs."""
    router = build_router(framework.routing, table)
    for number, path in enumerate(paths):
        for method in {METHODS[number % len(METHODS)], "GET"}:
            if request(router, path, method) != decide(table, path, method):
                pytest.fail(explain(table, path, method))
    return len(paths)


class Sampler:
    """Counts the pairs of one run of the property."""

    def __init__(self) -> None:
        self.pairs = 0

    # Shrinking takes minutes with this much data; `explain` does what is needed of it.
    @settings(max_examples=EXAMPLES, phases=[Phase.reuse, Phase.generate])
    @given(data=st.data())
    def run(self, data: st.DataObject) -> None:
        table = data.draw(tables)
        self.pairs += compare(table, data.draw(path_lists(table, PATHS_PER_TABLE)))


@pytest.mark.timeout(300)
def test_the_router_decides_as_the_linear_scan_does() -> None:
    sampler = Sampler()
    sampler.run()
    assert sampler.pairs >= MIN_PAIRS


# Adjacent parameters take quadratic time for long values, so they stay out of the random tables.
ADJACENT: Final = (
    RouteSpec("/{a:int}{b}", ("GET",), "number and text"),
    RouteSpec("/{a}{b}/c", ("GET",), "two texts"),
    RouteSpec("/{a:float}{b:int}", ("POST",), "two numbers"),
    RouteSpec("/{a:path}{b}", None, "path and text"),
)


@pytest.mark.parametrize(
    "path",
    ["/1a", "/12", "/1", "/a", "/ab/c", "/a/c", "/abc/c/", "/1.5", "/x/y", "/", "//", "/1.55/c"],
)
def test_adjacent_parameters_are_split_as_regular_expressions_do(path: str) -> None:
    for method in METHODS:
        assert find_difference(ADJACENT, path, method) is None


def test_a_difference_is_explained_by_the_routes_that_make_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = (
        RouteSpec("/b", ("GET",), "other"),
        RouteSpec("/a", ("GET",), "culprit"),
        RouteSpec("/c", ("GET",), "another"),
    )
    monkeypatch.setattr(reference, "expand_methods", lambda methods: {"POST"})
    with pytest.raises(pytest.fail.Exception) as caught:
        compare(table, ["/a"])
    text = str(caught.value)
    assert "GET '/a'" in text
    assert "expected Outcome(status=405" in text
    assert "got      Outcome(status=200" in text
    assert "culprit" in text
    assert "other" not in text


def test_the_reference_knows_the_limits_in_force() -> None:
    assert reference.MAX_INT_DIGITS == MAX_INT_DIGITS
    assert reference.MAX_FLOAT_CHARACTERS == MAX_FLOAT_CHARACTERS
