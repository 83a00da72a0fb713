"""The core suite as a whole: its rows, its command line, its verdict."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from load.bench import controller
from load.bench.__main__ import main, parse_options
from load.bench.controller import OWN, Plan, Results, Worker, measure
from load.bench.core.cases import list_cases
from load.bench.core.command import SUITE, choose_rows
from load.bench.core.kit import LIBRARIES
from load.bench.core.report import find_added, find_undisturbed, format_core_report, judge_core

PYTHONS = dict.fromkeys(LIBRARIES, Path(sys.executable))
CASES = {case.name: case for case in list_cases()}
LAYERS = "5 layers of BaseHTTPMiddleware"
IMPORT = "import of applications, routing, responses"


def build_results(own_us: float = 1.0, reference_us: float = 40.0) -> Results:
    """Return results where every row of ours takes `own_us` and of the other `reference_us`."""
    results = Results(Plan(3, 0.001))
    results.samples = {
        OWN: {name: [own_us] * 3 for name in CASES},
        "starlette": {n: [reference_us] * 3 for n, case in CASES.items() if not case.is_own},
    }
    results.versions = {OWN: {"version": ""}, "starlette": {"version": "1.10.0"}}
    return results


def test_no_name_stands_for_two_rows() -> None:
    assert len(CASES) == len(list_cases())


@pytest.mark.timeout(90)
def test_both_libraries_give_the_right_answer_to_every_row() -> None:
    rows = [case.name for case in list_cases() if case.every == 1]
    results = measure(PYTHONS, Plan(rounds=1, batch_seconds=0.0001), suite=SUITE, rows=rows)
    assert list(results.samples[OWN]) == rows
    assert list(results.samples["starlette"]) == [row for row in rows if not CASES[row].is_own]
    assert all(sample > 0 for row in rows for sample in results.samples[OWN][row])
    report = format_core_report(results)
    for row in rows:
        assert f"| {row} " in report


@pytest.mark.timeout(60)
def test_a_run_of_some_rows_leaves_a_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("load.bench.core.command.install", lambda: Path(sys.executable))
    assert main(["core", "--quick", "--only=import;background", f"--output={tmp_path}"]) == 0
    document = json.loads((tmp_path / "core.json").read_text(encoding="utf-8"))
    assert set(document["figures"][OWN]) == {IMPORT, "background task"}
    assert set(document["figures"]["starlette"]) == {IMPORT, "background task"}
    assert [bar["promise"] for bar in document["bars"]] == [IMPORT]
    assert f"(at most 60 ms)  {IMPORT}" in capsys.readouterr().out


@pytest.mark.timeout(60)
def test_a_row_that_fails_ends_the_run_with_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    worker = Worker(SUITE, "no_such_library", Path(sys.executable), ["text"])
    try:
        with pytest.raises(RuntimeError, match="'no_such_library' ended"):
            worker.wait_until_ready()
    finally:
        worker.stop()
    assert "no_such_library" in capfd.readouterr().err


def test_a_row_comes_with_the_rows_it_is_measured_against() -> None:
    assert choose_rows(["basehttp"]) == ["text", LAYERS]
    assert choose_rows(["all three"]) == ["text", "observed: all three"]
    assert choose_rows(["id, metrics"]) == [
        "text",
        "observed: request id",
        "observed: request id, metrics",
    ]
    assert choose_rows([]) == list(CASES)


@pytest.mark.parametrize("arguments", [["core", "--only=multipart"], ["--only=multipart", "core"]])
def test_options_may_stand_before_or_after_the_suite(arguments: list[str]) -> None:
    assert parse_options(arguments).rows == [name for name in CASES if "multipart" in name]
    options = parse_options(["--quick", *arguments, "--publish"])
    assert (options.quick, options.publish, options.strict) == (True, True, False)


def test_a_row_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(["core", "--only", "cofee"])
    assert "no row has 'cofee' in it; known are: text; " in capsys.readouterr().err


def test_long_rows_are_measured_in_each_so_many_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorded:
        def __init__(self, name: str, rows: dict[str, int]) -> None:
            self.name = name
            self.rows = rows

    workers = [
        Recorded("a", {"short": 1, "long": 2, "own": 1}),
        Recorded("b", {"short": 1, "long": 2}),
    ]
    turns = [
        [(worker.name, row) for worker, row in controller._list_turns(workers, number)]  # type: ignore[arg-type]
        for number in range(2)
    ]
    short, long = [("a", "short"), ("b", "short")], [("a", "long"), ("b", "long")]
    assert turns == [[*short, *long, ("a", "own")], [*short[::-1], ("a", "own")]]


def test_a_ratio_that_is_too_small_misses_its_bar() -> None:
    missed = {bar.promise: bar for bar in judge_core(build_results(1.0, 2.5)) if not bar.is_met}
    assert set(missed) == {
        f"{name}: as fast as Starlette" for name, case in CASES.items() if (case.faster or 0) > 2.5
    }
    assert missed[f"{LAYERS}: as fast as Starlette"].value == 2.5


def test_what_a_row_adds_is_the_difference_to_another() -> None:
    results = build_results()
    results.samples[OWN][LAYERS] = [20.0, 22.5, 40.0]
    results.samples[OWN]["text"] = [1.0, 2.0, 20.0]
    assert find_added(results, OWN, CASES[LAYERS]) == 20.0
    assert find_undisturbed(results, OWN, CASES[LAYERS]) == 21.25 - 1.5
    results.samples[OWN][LAYERS] = [23.0] * 3
    results.samples[OWN]["text"] = [2.0] * 3
    (missed,) = [bar for bar in judge_core(results) if bar.unit == " µs" and not bar.is_met]
    assert (missed.promise, missed.value, missed.limit) == (f"{LAYERS}: added to text", 21.0, 20)


def test_budgets_are_judged_in_their_own_unit() -> None:
    results = build_results()
    results.samples[OWN][IMPORT] = [61_000.0] * 3
    results.samples[OWN]["multipart, 100 MB upload, memory"] = [9.0] * 3
    missed = [(bar.value, bar.unit) for bar in judge_core(results) if not bar.is_met]
    assert missed == [(9.0, " MB"), (61.0, " ms")]
    assert " 61.0 ± 0.0 ms |" in format_core_report(results)


def test_memory_that_does_not_grow_at_all_is_reported() -> None:
    results = build_results()
    results.samples[OWN]["multipart, 100 MB upload, memory"] = [0.0] * 3
    assert "0.00 ± 0.00 MB |" in format_core_report(results)
    assert all(bar.is_met for bar in judge_core(results) if bar.unit == " MB")
