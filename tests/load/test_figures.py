from __future__ import annotations

from pathlib import Path

import pytest

from load.bench.cases import list_cases
from load.bench.figures import Bar, find_fastest_peer, judge, pair, ratio_to_bare, summarise
from load.bench.report import (
    PICTURE,
    README,
    build_document,
    format_bars,
    format_report,
    format_table,
    publish,
)
from tests.load.bench_results import build_results


def test_a_figure_is_the_median_and_the_middle_half() -> None:
    figure = summarise([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (figure.low, figure.median, figure.high) == (2.0, 3.0, 4.0)
    assert figure.spread == 2.0


def test_one_round_has_no_spread() -> None:
    assert summarise([7.0]).spread == 0.0


def test_a_ratio_is_taken_round_by_round_so_a_slow_moment_cancels_out() -> None:
    assert pair([2.0, 20.0, 2.0, 30.0], [4.0, 40.0, 4.0, 60.0]) == 0.5


def test_the_fastest_peer_is_neither_ours_nor_the_bare_callable() -> None:
    assert find_fastest_peer(build_results(), "text, 3") == "falcon"
    assert find_fastest_peer(build_results(peers=()), "text, 3") is None


def test_every_promise_is_judged_and_met_when_ours_is_half_the_fastest_peer() -> None:
    bars = judge(build_results(own_us=2.0))
    assert len(bars) == 6 + 3 + 4
    assert all(bar.is_met for bar in bars)


def test_a_missed_bar_is_called_fail() -> None:
    bars = judge(build_results(own_us=2.5))
    missed = [bar for bar in bars if not bar.is_met]
    assert [bar.limit for bar in missed] == [0.6] * 6
    assert format_bars(missed).splitlines()[0].startswith("FAIL   0.62x (at most 0.6x)  text, 3")


def test_growth_with_the_number_of_routes_is_judged() -> None:
    results = build_results()
    results.samples["slipway"]["params, 10000 last"] = [2.5] * 3
    (missed,) = [bar for bar in judge(results) if not bar.is_met]
    assert missed == Bar("params: last of 10000 routes against first of 10", 1.2, 1.25)


def test_an_expensive_miss_is_judged_against_a_hit() -> None:
    results = build_results()
    results.samples["slipway"]["miss, 10"] = [3.1] * 3
    (missed,) = [bar for bar in judge(results) if not bar.is_met]
    assert missed.value == pytest.approx(1.55)


def test_without_our_framework_there_is_nothing_to_judge() -> None:
    results = build_results()
    del results.samples["slipway"]
    assert judge(results) == []


def test_the_bare_callable_is_the_unit_of_the_other_ratio() -> None:
    assert ratio_to_bare(build_results(), "falcon", "json, 3") == 4.0


def test_the_report_has_a_row_for_each_case_and_a_column_for_each_framework() -> None:
    text = format_report(build_results())
    for case in list_cases(own=True):
        assert f"| {case.name} " in text
    assert "falcon 1.2.3" in text
    assert "0.50x" in text


def test_a_run_without_peers_is_reported_too() -> None:
    assert "fastest peer" in format_report(build_results(peers=()))


def test_the_document_tells_machine_method_figures_and_bars() -> None:
    document = build_document(build_results())
    assert document["machine"]["cpu"]
    assert document["fastest_peer"]["text, 3"] == "falcon"
    assert document["figures"]["slipway"]["text, 3"]["median"] == 2.0
    assert document["figures"]["slipway"]["text, 3"]["x_bare"] == 2.0
    assert all(bar["met"] for bar in document["bars"])


def test_tables_are_aligned() -> None:
    assert format_table([["a", "bb"], ["ccc", "d"]]) == [
        "| a   | bb |",
        "| --- | -: |",
        "| ccc |  d |",
    ]


def test_publishing_replaces_only_what_stands_between_the_marks(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("a\n<!-- x: begin -->\nold\n<!-- x: end -->\nz\n", encoding="utf-8")
    for text in ("new", "newer"):
        publish("x", text, readme)
        expected = f"a\n<!-- x: begin -->\n{text}\n<!-- x: end -->\nz\n"
        assert readme.read_text(encoding="utf-8") == expected
    with pytest.raises(RuntimeError, match="'<!-- y: begin -->'"):
        publish("y", "new", readme)


def test_the_readme_has_the_places_and_the_picture_it_shows() -> None:
    text = README.read_text(encoding="utf-8")
    for section in ("dispatch", "core", "server"):
        assert text.index(f"<!-- {section}: begin -->") < text.index(f"<!-- {section}: end -->")
    assert "](bench/dispatch.svg)" in text
    assert PICTURE.exists()
