"""`python -m load.bench channels`: its processes, and what it says about the figures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from load.bench import channels
from load.bench.channels import (
    PUBSUB,
    REDIS,
    STREAM,
    SYSTEMS,
    UNIX,
    Turn,
    build_bars,
    build_rows,
    measure_stalled,
    measure_turn,
)


def build_turns(unix: float, redis: float, pubsub: float, stream: float) -> dict[str, list[Turn]]:
    rates = {UNIX: unix, REDIS: redis, PUBSUB: pubsub, STREAM: stream}
    return {system.name: [Turn(rates[system], 1, 2)] for system in SYSTEMS}


def test_the_processes_of_a_system_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "SUBSCRIBERS", 8)
    monkeypatch.setattr(channels, "RATE", 500)
    turn = measure_turn(Path(sys.executable), UNIX, f"unix://{tmp_path}/c", 50)
    assert turn.rate > 0
    assert 0 < turn.median <= turn.p99


def test_a_stalled_subscriber_is_among_those_that_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "NEIGHBOURS", 5)
    monkeypatch.setattr(channels, "STALLED_RATE", 1000)
    assert measure_stalled(Path(sys.executable), f"unix://{tmp_path}/c", 300) > 0


def test_our_rates_are_compared_with_the_better_one_of_the_peer() -> None:
    bars = build_bars(build_turns(200, 100, 90, 110), 49.9)
    assert [met for met, _ in bars] == [True, False, True]
    assert bars[1][1] == "redis:// 0.91x (at least 1x) of Litestar, Redis streams"
    assert [met for met, _ in build_bars(build_turns(1, 1, 1, 1), 50.1)] == [True, True, False]


def test_the_table_has_a_row_for_each_system() -> None:
    rows = build_rows(build_turns(200, 100, 90, 110))
    assert rows[1] == ["unix://", "200", "200,000", "1.0", "2.0"]
    assert len(rows) == 1 + len(SYSTEMS)
