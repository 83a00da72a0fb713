"""Metrics of several workers add up, whatever happens to the workers."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from framework.observability.metrics import mark_dead
from tests.framework.observability.workers import (
    count_requests,
    environment,
    read_samples,
    render,
    start_worker,
    value,
)


def test_totals_are_exact_after_a_worker_is_killed(tmp_path: Path) -> None:
    with start_worker(tmp_path, 0) as first, start_worker(tmp_path, 1) as second:
        first.tell("300")
        second.tell("200")
        second.kill()
        first.tell("50")

        assert count_requests(tmp_path) == 550
        assert value(tmp_path, "greetings_total") == 550
        labels = {"method": "GET", "route": "/items/{id}", "status": "200"}
        assert value(tmp_path, "http_request_duration_seconds_count", labels) == 550


def test_a_new_worker_continues_the_counters_of_its_slot(tmp_path: Path) -> None:
    totals = []
    files = set()
    for _ in range(4):
        with start_worker(tmp_path, 0) as worker:
            worker.tell("100")
            worker.kill()
        totals.append(count_requests(tmp_path))
        files.add(tuple(sorted(path.name for path in tmp_path.iterdir())))

    assert totals == [100, 200, 300, 400]
    assert files == {("counter_0.db", "gauge_livemax_0.db", "gauge_livesum_0.db", "histogram_0.db")}


def test_requests_in_flight_add_up_and_die_with_their_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with start_worker(tmp_path, 0) as first, start_worker(tmp_path, 12) as second:
        first.tell("begin")
        second.tell("begin")
        second.tell("begin")
        assert value(tmp_path, "http_requests_in_flight") == 3

        second.tell("7")
        second.kill()
        mark_dead(12)
        mark_dead(12)
        assert value(tmp_path, "http_requests_in_flight") == 1
        assert count_requests(tmp_path) == 7


def test_a_worker_that_nobody_forgot_leaves_nothing_in_flight_to_its_successor(
    tmp_path: Path,
) -> None:
    with start_worker(tmp_path, 0) as worker:
        worker.tell("begin")
    with start_worker(tmp_path, 0):
        assert value(tmp_path, "http_requests_in_flight") == 0


def test_each_worker_shows_its_memory_and_descriptors_under_its_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with start_worker(tmp_path, 0), start_worker(tmp_path, 1) as second:
        for slot in ("0", "1"):
            deadline = time.monotonic() + 5
            while not value(tmp_path, "process_worker_open_fds", {"worker_slot": slot}):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            resident = value(
                tmp_path, "process_worker_resident_memory_bytes", {"worker_slot": slot}
            )
            assert resident is not None
            assert resident > 1_000_000

        second.kill()
        mark_dead(1)
        assert value(tmp_path, "process_worker_open_fds", {"worker_slot": "1"}) is None
        assert value(tmp_path, "process_worker_open_fds", {"worker_slot": "0"})


def test_no_series_carries_a_pid(tmp_path: Path) -> None:
    with start_worker(tmp_path, 0) as worker:
        worker.tell("1")
        names = {name for _, labels in read_samples(render(tmp_path)) for name, _ in labels}
    assert "pid" not in names
    assert "worker_slot" in names


@pytest.mark.parametrize("is_known_at_import", [True, False])
def test_the_order_of_settings_imports_and_metrics_does_not_matter(
    tmp_path: Path, is_known_at_import: bool
) -> None:
    late = 'import os; os.environ["PROMETHEUS_MULTIPROC_DIR"] = DIRECTORY'
    code = f"""
DIRECTORY = {str(tmp_path)!r}
{late if is_known_at_import else ""}
from prometheus_client import Counter
import framework.observability.metrics
{late}
Counter("jobs_total", "Jobs.").inc()
"""
    environ = {**environment(tmp_path), "SLIPWAY_WORKER_SLOT": "4"}
    del environ["PROMETHEUS_MULTIPROC_DIR"]
    subprocess.run([sys.executable, "-c", code], check=True, timeout=15, env=environ)

    assert [path.name for path in tmp_path.iterdir()] == ["counter_4.db"]


def test_a_preloaded_application_continues_the_counters_of_each_slot(tmp_path: Path) -> None:
    """The metrics exist in the master before it forks; each generation has the same slots."""
    code = """
import os
from framework.observability.metrics import http_metrics
metrics = http_metrics()
for generation in range(3):
    children = []
    for slot in ("0", "1"):
        pid = os.fork()
        if pid == 0:
            os.environ["SLIPWAY_WORKER_SLOT"] = slot
            for _ in range(10):
                metrics.begin()
                metrics.end("GET", "/items/{id}", 200, 0.002)
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=15, env=environment(tmp_path))
    assert count_requests(tmp_path) == 60


def test_a_process_that_a_worker_forks_does_not_write_into_its_files(tmp_path: Path) -> None:
    code = """
import os
from framework.observability.metrics import http_metrics
metrics = http_metrics()
def work():
    for _ in range(1000):
        metrics.begin()
        metrics.end("GET", "/items/{id}", 200, 0.002)
work()
if os.fork() == 0:
    work()
    os._exit(0)
work()
os.wait()
"""
    environ = {**environment(tmp_path), "SLIPWAY_WORKER_SLOT": "0"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=15, env=environ)
    assert count_requests(tmp_path) == 3000


_HELPED = """
import os, subprocess, sys
from framework.observability.metrics import Counter
from framework.observability.process import take_slot
take_slot(0)
count = Counter("parts_total", "Parts.").inc
count()
code = (
    "from framework.observability.metrics import Counter\\n"
    "Counter('parts_total', 'Parts.').inc()\\n"
    "print(end='', flush=input())"
)
for turn in range(3):
    if os.fork() == 0:
        count()
        os._exit(0)
    os.wait()
    started = [subprocess.Popen([sys.executable, "-c", code], stdin=-1) for _ in range(2)]
    for process in started:
        process.communicate(b"end\\n")
    count()
"""


def test_files_are_bounded_however_many_processes_workers_fork_or_start(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HELPED]
    subprocess.run(command, check=True, timeout=30, env=environment(tmp_path))
    assert value(tmp_path, "parts_total") == 13
    files = {path.name for path in tmp_path.glob("*.db")}
    assert {"counter_0.db", "counter_helper0.db"} <= files
    assert files <= {"counter_0.db", "counter_helper0.db", "counter_helper1.db"}


def test_live_gauges_end_with_the_process_that_a_worker_forked(tmp_path: Path) -> None:
    code = """
import os, subprocess, sys
from framework.observability.metrics import Gauge
from framework.observability.process import take_slot
take_slot(0)
busy = Gauge("busy", "Busy.", multiprocess_mode="livesum")
peak = Gauge("peak", "Peak.", multiprocess_mode="max")
busy.set(1)
if os.fork() == 0:
    busy.set(5)
    peak.set(5)
    print("set", flush=True)
    sys.stdin.readline()
    os._exit(0)
os.wait()
# It has the name of the one before, and no such gauge.
other = (
    "from framework.observability.metrics import Counter\\n"
    "Counter('others_total', 'Others.').inc()\\n"
    "print('ended', flush=True); input()"
)
subprocess.run([sys.executable, "-c", other], check=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(tmp_path),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for line, total in ((b"set\n", 6), (b"ended\n", 1)):
            assert process.stdout.readline() == line
            assert value(tmp_path, "busy") == total
            assert value(tmp_path, "peak") == 5
            process.stdin.write(b"go on\n")
            process.stdin.flush()
    assert process.returncode == 0


_LATE = """
import sys
from pathlib import Path
from framework.observability.metrics import Counter, Gauge, use_directory
greetings = Counter("greetings_total", "An application's own metric.")
version = Gauge("version", "Set early.", multiprocess_mode="livemax")
greetings.inc(3)
version.set(7)
use_directory(Path(sys.argv[1]), slot=4)
greetings.inc(2)
"""


def test_a_process_that_no_server_has_started_gets_a_directory_later(tmp_path: Path) -> None:
    for total in (5, 10):
        subprocess.run([sys.executable, "-c", _LATE, str(tmp_path)], check=True, timeout=15)
        assert value(tmp_path, "greetings_total") == total
        assert value(tmp_path, "version") == 7
    assert {path.stem.rpartition("_")[2] for path in tmp_path.iterdir()} == {"4"}
