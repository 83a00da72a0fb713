"""The first promise: an application for Starlette 1.10 does the same on the framework."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.compat.cases import (
    authentication,
    compression,
    cors,
    dispatching,
    endpoints,
    errors,
    extensions,
    files,
    forms,
    hosts,
    levels,
    pages,
    requests,
    responses,
    routing,
    sessions,
    stacks,
    static,
    threads,
    websockets,
    wsgi,
)
from tests.compat.differences import DIFFERENCES, Difference, find_differences
from tests.compat.expectations import set_header
from tests.compat.harness import Case, Request, Result, run_case, unpack

CASES = (
    *routing.CASES,
    *errors.CASES,
    *requests.CASES,
    *forms.CASES,
    *responses.CASES,
    *files.CASES,
    *stacks.CASES,
    *extensions.CASES,
    *dispatching.CASES,
    *static.CASES,
    *threads.CASES,
    *levels.CASES,
    *websockets.CASES,
    *wsgi.CASES,
    *endpoints.CASES,
    *pages.CASES,
    *sessions.CASES,
    *authentication.CASES,
    *cors.CASES,
    *hosts.CASES,
    *compression.CASES,
)
EXCHANGES = [
    pytest.param(case, request, id=f"{case.name}: {request}")
    for case in CASES
    for request in case.requests
]


def run_both(case: Case, request: Request) -> tuple[Result, Result]:
    """Return the result of Starlette and that of the framework."""
    theirs = run_case(case.build, "starlette", request)
    # The order of a set, different in each process.
    allow = theirs.find_header("allow")
    if allow is not None:
        theirs = set_header(theirs, "allow", ", ".join(sorted(allow.split(", "))))
    return theirs, run_case(case.build, "framework", request)


def apply_differences(
    rows: tuple[Difference, ...], theirs: Result, ours: Result
) -> tuple[Result, set[Difference]]:
    """Return the expected result and the rows that had a part in it."""
    used = set()
    for row in rows:
        changed = row.expect(theirs, ours)
        if changed != theirs:
            used.add(row)
            theirs = changed
    return theirs, used


@pytest.mark.parametrize(("case", "request_"), EXCHANGES)
def test_the_framework_answers_as_starlette_does(case: Case, request_: Request) -> None:
    theirs, ours = run_both(case, request_)
    rows = find_differences(f"{case.name}: {request_}")
    expected, _ = apply_differences(rows, theirs, ours)
    assert unpack(ours) == unpack(expected)


def test_every_listed_difference_is_one() -> None:
    used: set[Difference] = set()
    for case in CASES:
        for request in case.requests:
            rows = find_differences(f"{case.name}: {request}")
            if rows:
                used |= apply_differences(rows, *run_both(case, request))[1]
    assert [row.reason for row in DIFFERENCES if row not in used] == []


def test_no_two_exchanges_have_the_same_name() -> None:
    names = [exchange.id for exchange in EXCHANGES]
    assert len(set(names)) == len(names)


def test_the_comparison_sees_a_different_answer() -> None:
    case = routing.CASES[0]
    theirs, ours = run_both(case, Request("/static"))
    assert ours == theirs
    assert replace(ours, status=201) != theirs
    assert replace(ours, chunks=(b"other",)) != theirs
