"""The suite of scrapes: a short run of all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from load.bench.__main__ import main
from load.bench.scrapes import SERIES, find_p99


def test_the_percentile_is_that_of_the_slow_ones() -> None:
    assert find_p99([0.001] * 980 + [0.5] * 20) == pytest.approx(500)
    assert find_p99([0.001] * 1000) == pytest.approx(1)


@pytest.mark.timeout(60)  # eight workers and an exporter
def test_a_short_run_measures_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scrapes", "--quick", "--output", str(tmp_path)]) == 0

    found = json.loads((tmp_path / "scrapes.json").read_text(encoding="utf-8"))
    assert min(len(found[name]) for name in ("alone", "scraped")) > 10
    assert len(found["scrapes"]) >= 1
    report = capsys.readouterr().out
    assert f"{SERIES:,} series" in report
    assert report.count("PASS") + report.count("FAIL") == 2
