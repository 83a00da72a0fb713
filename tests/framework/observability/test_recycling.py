"""Workers killed while they count: two hundred of them, and one right after an answer has left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.framework.observability.recycling import LEAST_REQUESTS
from tests.framework.observability.workers import count_requests, environment

KILLS = 200


@pytest.mark.timeout(180)  # two hundred processes
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
    assert result["counted"] > LEAST_REQUESTS
    assert result["series"] == 40
    # The last workers are dead as well, and nobody has taken their slots.
    assert result["in_flight"] == 0
    names = {name.rpartition("_")[0] for name in result["files"]}
    slots = {name.rpartition("_")[2] for name in result["files"]}
    assert names <= {"counter", "histogram", "gauge_livemax", "gauge_livesum"}
    # Besides the slots, the process that made the metrics before it forked.
    assert len(slots - {f"{slot}.db" for slot in range(4)}) == 1


# Its server ends with the write of the last byte.
_KILLED_BY_SEND = """
import asyncio, os, signal, sys
from framework.observability.logging import configure_logging
from framework.observability.middleware import ObservabilityMiddleware
from tests.framework.observability.harness import answer, http_scope

async def send(message):
    if message["type"] == "http.response.body":
        os.kill(os.getpid(), signal.SIGKILL)

configure_logging(format="json")
asyncio.run(ObservabilityMiddleware(answer())(http_scope(), None, send))
"""


def test_an_answer_that_has_left_is_counted_even_if_its_worker_is_killed_right_then(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", _KILLED_BY_SEND]
    done = subprocess.run(command, check=False, timeout=15, env=environment(tmp_path))

    assert done.returncode == -signal.SIGKILL
    assert count_requests(tmp_path) == 1
