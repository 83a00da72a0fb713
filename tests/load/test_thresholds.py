from __future__ import annotations

from dataclasses import replace

from load.thresholds import Endpoint, Outcome, Thresholds, find_problems, format_outcome

HEALTHY = Outcome(
    endpoints=[
        Endpoint("GET /a", requests=80, failures=0, median_ms=3, p95_ms=9, max_ms=30),
        Endpoint("GET /b", requests=20, failures=0, median_ms=4, p95_ms=500, max_ms=700),
    ],
    errors=[],
    crashes=[],
    seconds=10,
    generator_cpu=0.2,
)


def list_problems(outcome: Outcome, thresholds: Thresholds | None = None) -> list[str]:
    return list(find_problems(outcome, thresholds or Thresholds()))


def test_a_run_at_its_limits_has_no_problems() -> None:
    assert list_problems(HEALTHY, Thresholds(max_p95_ms=500, min_rps=10)) == []


def test_failures_above_the_limit_are_listed_with_their_endpoint_and_count() -> None:
    failing = replace(HEALTHY.endpoints[0], failures=3)
    errors = [("GET /a", "status 500 instead of 200", 3)]
    outcome = replace(HEALTHY, endpoints=[failing], errors=errors)
    assert list_problems(outcome) == [
        "3 requests failed (at most 0 may)",
        "  3x GET /a: status 500 instead of 200",
    ]
    assert list_problems(outcome, Thresholds(max_failures=3)) == []


def test_one_slow_endpoint_is_found_among_fast_ones() -> None:
    (problem,) = list_problems(HEALTHY, Thresholds(max_p95_ms=499))
    assert problem == "GET /b: 95 % of requests took up to 500 ms (at most 499 ms)"


def test_too_few_requests_a_second_are_a_problem() -> None:
    (problem,) = list_problems(HEALTHY, Thresholds(min_rps=10.1))
    assert problem == "10.0 requests a second (at least 10.1)"


def test_a_crash_of_a_scenario_is_a_problem_whatever_the_limits() -> None:
    outcome = replace(HEALTHY, crashes=["KeyError: 'x'"])
    (problem,) = list_problems(outcome, Thresholds(max_failures=1000))
    assert "KeyError: 'x'" in problem


def test_an_idle_run_is_a_problem() -> None:
    assert list_problems(replace(HEALTHY, endpoints=[])) == ["no request was made"]


def test_a_generator_that_fills_its_core_does_not_vouch_for_its_times() -> None:
    (problem,) = list_problems(replace(HEALTHY, generator_cpu=0.97))
    assert "97%" in problem


def test_the_table_has_a_line_for_each_endpoint_and_one_for_all() -> None:
    lines = format_outcome(HEALTHY).splitlines()
    assert [line.split()[1] for line in lines[1:3]] == ["/a", "/b"]
    assert lines[-1].startswith("100 requests in 10.0 s: 10.0 a second")
