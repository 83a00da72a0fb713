"""Random route tables against Starlette itself: every difference has its reason here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import pytest
import starlette.routing
from hypothesis import given, settings, strategies as st

import framework.routing
from tests.framework.routing.driver import build_router, request
from tests.framework.routing.reference import Outcome, RouteSpec, Table
from tests.framework.routing.strategies import path_lists, tables

PATHS_PER_TABLE: Final = 15
SERVER_ERROR: Final = Outcome(500)


@dataclass(frozen=True)
class Allowed:
    """One reason why the outcomes for a path may differ."""

    reason: str
    applies: Callable[[str, Outcome, Outcome], bool]


def _is_method_list_longer(_: str, theirs: Outcome, ours: Outcome) -> bool:
    if theirs.status != 405 or ours.status != 405:
        return False
    return set(theirs.allow.split(", ")) < set(ours.allow.split(", "))


def _has_long_number(path: str, _: Outcome, __: Outcome) -> bool:
    return re.search(r"[0-9]{19}|[0-9.]{65}", path) is not None


def _has_line_end(path: str, _: Outcome, __: Outcome) -> bool:
    return "\n" in path


def _is_unsafe_redirect(path: str, theirs: Outcome, ours: Outcome) -> bool:
    return path.startswith("//") and theirs.status == 307 and ours.status == 404


def _is_percent_redirect(path: str, theirs: Outcome, ours: Outcome) -> bool:
    return "%" in path and theirs.status == 307 and ours.status == 307


ALLOWED: Final = (
    Allowed("Allow names the methods of every route that matches.", _is_method_list_longer),
    Allowed("Numbers of too many digits match no convertor; int() could refuse.", _has_long_number),
    Allowed("A newline is never a harmless end of a path.", _has_line_end),
    Allowed("A redirect to //x would lead to another host.", _is_unsafe_redirect),
    Allowed(
        "A percent sign of the path is quoted, or the target is another.", _is_percent_redirect
    ),
)


def ask_starlette(table: Table, path: str, method: str) -> Outcome:
    """Return Starlette's outcome with what always differs made equal."""
    try:
        outcome = request(build_router(starlette.routing, table), path, method)
    except ValueError:  # int() of too many digits
        return SERVER_ERROR
    allow = ", ".join(sorted(filter(None, outcome.allow.split(", "))))
    location = outcome.location.removeprefix("http://evil.example")
    return replace(outcome, allow=allow, location=location)


def explain(path: str, theirs: Outcome, ours: Outcome) -> str | None:
    """Return the reason for a difference, None when there is none."""
    for row in ALLOWED:
        if row.applies(path, theirs, ours):
            return row.reason
    return None


def compare(table: Table, paths: list[str]) -> None:
    """Compare the outcomes for each path."""
    router = build_router(framework.routing, table)
    for number, path in enumerate(paths):
        method = ("GET", "POST", "DELETE")[number % 3]
        ours = request(router, path, method)
        theirs = ask_starlette(table, path, method)
        if ours != theirs and explain(path, theirs, ours) is None:
            pytest.fail(f"{method} {path!r}: {theirs} in Starlette, {ours} here; {table}")


@pytest.mark.timeout(180)
@settings(max_examples=150)
@given(data=st.data())
def test_starlette_decides_the_same_but_for_the_listed_reasons(data: st.DataObject) -> None:
    table = data.draw(tables)
    compare(table, data.draw(path_lists(table, PATHS_PER_TABLE)))


GET: Final = ("GET",)
NEEDED: Final = (
    ((RouteSpec("/a", GET, "a"), RouteSpec("/{x}", ("PUT",), "b")), "/a"),
    ((RouteSpec("/{x:int}", None, "a"),), "/" + "1" * 5000),
    ((RouteSpec("/a", None, "a"),), "/a\n"),
    ((RouteSpec("/{p:path}/", None, "a"),), "//evil.example"),
    ((RouteSpec("/{x}", None, "a"),), "/%2F/"),
)


@pytest.mark.parametrize(("case", "row"), [*zip(NEEDED, ALLOWED, strict=True)])
def test_each_reason_is_needed(case: tuple[Table, str], row: Allowed) -> None:
    table, path = case
    ours = request(build_router(framework.routing, table), path, "POST")
    theirs = ask_starlette(table, path, "POST")
    assert ours != theirs
    assert explain(path, theirs, ours) == row.reason
