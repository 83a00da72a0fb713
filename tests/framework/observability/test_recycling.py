"""Two hundred workers killed while they count, and scrapes in between."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.framework.observability.workers import environment

KILLS = 200


@pytest.mark.timeout(60)  # two hundred processes
def test_counters_survive_the_death_of_two_hundred_workers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.framework.observability.recycling", str(KILLS)],
        check=True,
        timeout=50,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(tmp_path),
    )
    result = json.loads(done.stdout)

    assert result["backwards"] == []
    assert result["scrapes"] > KILLS / 4
    # A kill may hit between the count of the metrics and the worker's own.
    assert 0 <= result["counted"] - result["own"] <= KILLS
    assert abs(result["observed"] - result["counted"]) <= KILLS
    assert result["counted"] > 10_000
    assert result["series"] == 40
    # The last workers are dead as well, and nobody has taken their slots.
    assert result["in_flight"] == 0
    names = {name.rpartition("_")[0] for name in result["files"]}
    slots = {name.rpartition("_")[2] for name in result["files"]}
    assert names <= {"counter", "histogram", "gauge_livemax", "gauge_livesum"}
    # Besides the slots, the process that made the metrics before it forked.
    assert len(slots - {f"{slot}.db" for slot in range(4)}) == 1
