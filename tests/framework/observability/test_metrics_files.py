"""Files of metrics that were left in a bad state, and directories that take none."""

from __future__ import annotations

import errno
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from framework.observability import _cells
from framework.observability._cells import Cell
from framework.observability._labels import OVERFLOW
from framework.observability._limits import MAX_LABEL_SETS, METRICS_FILE_BYTES
from framework.observability._metrics_file import MetricsFile
from tests.framework.observability.harness import LogStream
from tests.framework.observability.workers import (
    count_requests,
    environment,
    render,
    start_worker,
    value,
)


def _cut_last_entry(data: bytearray) -> None:
    (used,) = struct.unpack_from("i", data)
    struct.pack_into("i", data, 0, used - 24)


def _lengthen_last_key(data: bytearray) -> None:
    begin, last = 8, 8
    (used,) = struct.unpack_from("i", data)
    while begin < used:
        last = begin
        (length,) = struct.unpack_from("i", data, begin)
        begin = (begin + 4 + length) // 8 * 8 + 24
    struct.pack_into("i", data, last, 1 << 30)


def _claim_more_than_there_is(data: bytearray) -> None:
    struct.pack_into("i", data, 0, 1 << 30)


# What is left after a fault, and whether the counts of the greetings, the last entry, are still in it.
FAULTS: dict[str, tuple[Callable[[bytearray], None], bool]] = {
    "no bytes at all": (lambda data: data.clear(), False),
    "less than a header": (lambda data: data.__delitem__(slice(3, None)), False),
    "only zeros": (lambda data: data.__setitem__(slice(None), bytes(len(data))), False),
    "an odd size": (lambda data: data.extend(b"abc"), True),
    "a negative end": (lambda data: struct.pack_into("i", data, 0, -8), False),
    "an end behind the file": (_claim_more_than_there_is, True),
    "an entry that was cut": (_cut_last_entry, False),
    "a key that is too long": (_lengthen_last_key, False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_file_breaks_neither_the_scrape_nor_the_next_worker(
    tmp_path: Path, fault: str
) -> None:
    with start_worker(tmp_path, 0) as worker:
        worker.tell("10")
    with start_worker(tmp_path, 1) as other:
        other.tell("5")
    path = tmp_path / "counter_0.db"
    data = bytearray(path.read_bytes())
    change, is_kept = FAULTS[fault]
    change(data)
    path.write_bytes(data)

    assert (value(tmp_path, "greetings_total") or 0) >= 5
    with start_worker(tmp_path, 0) as worker:
        worker.tell("100")
        counted = value(tmp_path, "greetings_total")
    assert counted is not None
    assert counted in {105, 115}
    if is_kept:
        assert counted == 115


def test_a_key_that_is_none_is_left_out(tmp_path: Path) -> None:
    file = MetricsFile(str(tmp_path / "counter_0.db"), is_continued=True)
    for key in (b"text", b"[1]", b'["a", "a_total", 7, ""]', b"\xff\xfe", b"{}"):
        doubles, index = file.find_place(key)
        doubles[index] = 1.0
    doubles, index = file.find_place(b'["b", "b_total", {}, "Bs."]')
    doubles[index] = 2.0
    file.close()
    assert render(tmp_path) == "# HELP b_total Bs.\n# TYPE b_total counter\nb_total 2.0\n"


def test_a_file_grows_and_the_places_in_it_stay(tmp_path: Path) -> None:
    path = tmp_path / "counter_0.db"
    file = MetricsFile(str(path), is_continued=True)
    assert path.stat().st_size == METRICS_FILE_BYTES
    first, index = file.find_place(b'["a", "a_total", {"n": "0"}, ""]')
    for number in range(1, 5000):
        doubles, place = file.find_place(b'["a", "a_total", {"n": "%d"}, ""]' % number)
        doubles[place] = number
    first[index] = 7.0
    file.close()

    again = MetricsFile(str(path), is_continued=True)
    doubles, place = again.find_place(b'["a", "a_total", {"n": "0"}, ""]')
    again.close()
    assert (doubles[place], place) == (7.0, index)
    assert path.stat().st_size > METRICS_FILE_BYTES
    assert value(tmp_path, "a_total", {"n": "4999"}) == 4999.0


@pytest.mark.parametrize("fault", ["missing", "a file", "read-only"])
def test_a_directory_that_takes_no_files_is_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: LogStream, fault: str
) -> None:
    (tmp_path / "a file").touch()
    # Nobody may make files in /proc, not even who may write to every folder.
    directory = "/proc" if fault == "read-only" else str(tmp_path / fault)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", directory)
    monkeypatch.setattr(_cells.store, "_has_warned", False)
    cells = [Cell("counter", "a", "a_total", ("n",), (str(n),), "As.") for n in range(10)]
    for cell in cells:
        cell.inc(2.0)

    assert [cell.get() for cell in cells] == [2.0] * 10
    (line,) = log.lines()
    assert (line["level"], line["event"]) == ("warning", "metrics not written")
    assert line["path"].startswith(directory)


def test_a_full_directory_ends_no_process_and_keeps_what_fits(tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk: there too, no more room can be had."""
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, ({METRICS_FILE_BYTES}, {METRICS_FILE_BYTES}))
from framework.observability.metrics import http_metrics
metrics = http_metrics()
for turn in range(2):
    for number in range(300):
        metrics.begin()
        metrics.end("GET", f"/route/{{number}}", 200, 0.002)
print("served")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        timeout=15,
        capture_output=True,
        text=True,
        env={**environment(tmp_path), "SLIPWAY_WORKER_SLOT": "0"},
    )
    assert done.stdout.count("served") == 1
    assert (done.stdout + done.stderr).count("metrics not written") == 1
    labels = {"method": "GET", "route": "/route/0", "status": "200"}
    assert value(tmp_path, "http_requests_total", labels) == 2.0
    labels["route"] = "/route/299"
    assert value(tmp_path, "http_requests_total", labels) is None
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {METRICS_FILE_BYTES}


def test_a_file_system_that_cannot_reserve_room_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    file = MetricsFile(str(tmp_path / "counter_0.db"), is_continued=True)
    doubles, index = file.find_place(b'["b", "b_total", {}, "Bs."]')
    doubles[index] = 2.0
    file.close()
    assert value(tmp_path, "b_total") == 2.0


def test_a_worker_killed_while_it_makes_series_leaves_whole_files(tmp_path: Path) -> None:
    """Twelve times at another moment of its start, in which it does nothing else."""
    code = """
from framework.observability.metrics import Counter
numbers = Counter("numbers_total", "Numbers.", ("number",))
print("ready", flush=True)
for number in range(900):
    numbers.labels(number).inc()
"""
    total = 0.0
    for turn in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            env={**environment(tmp_path), "SLIPWAY_WORKER_SLOT": "0"},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(turn * 0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        series = [line for line in render(tmp_path).splitlines() if line.startswith("numbers")]
        now = sum(float(line.split()[1]) for line in series)
        assert now >= total
        total = now
    assert total > 0
    assert [path.name for path in tmp_path.iterdir()] == ["counter_0.db"]


def test_a_live_gauge_of_a_dead_worker_is_not_continued(tmp_path: Path) -> None:
    code = """
from framework.observability.metrics import Gauge
rooms = Gauge("rooms", "Rooms.", ("name",), multiprocess_mode="livesum")
"""
    environ = {**environment(tmp_path), "SLIPWAY_WORKER_SLOT": "0"}
    for name in ("a", "b"):
        line = f"rooms.labels({name!r}).set(3)\n"
        subprocess.run([sys.executable, "-c", code + line], check=True, timeout=15, env=environ)

    assert value(tmp_path, "rooms", {"name": "a"}) is None
    assert value(tmp_path, "rooms", {"name": "b"}) == 3


def test_label_sets_are_bounded_over_all_workers_of_a_slot(tmp_path: Path) -> None:
    code = """
import sys
from framework.observability.metrics import Counter, Gauge, Histogram, http_metrics
options = {"labelnames": ("user",), "documentation": "By user."}
calls = Counter("calls_total", **options)
sizes = Histogram("sizes_bytes", buckets=(1,), **options)
peaks = Gauge("peaks", multiprocess_mode="max", **options)
for user in (0, *range(int(sys.argv[1]), int(sys.argv[1]) + 600)):
    calls.labels(user).inc()
    sizes.labels(user=user).observe(2)
    peaks.labels(str(user)).set(1)
    http_metrics().end("GET", f"/{user}", 200, 0.001)
"""
    environ = {**environment(tmp_path), "SLIPWAY_WORKER_SLOT": "0"}
    for begin in ("1", "1001", "2001"):
        command = [sys.executable, "-c", code, begin]
        subprocess.run(command, check=True, timeout=15, env=environ)

    lines = render(tmp_path).splitlines()
    for name, common in (("calls_total", 801), ("sizes_bytes_sum", 1602), ("peaks", 1)):
        assert sum(line.startswith(f"{name}{{") for line in lines) == MAX_LABEL_SETS + 1
        assert value(tmp_path, name, {"user": OVERFLOW}) == common
    assert value(tmp_path, "calls_total", {"user": "0"}) == 3
    assert sum(line.startswith("http_requests_total{") for line in lines) == MAX_LABEL_SETS + 1
    for metric in ("calls", "http_requests"):
        assert value(tmp_path, "metrics_folded_total", {"metric": metric}) == 801


def test_the_master_has_a_file_of_its_own_name(tmp_path: Path) -> None:
    code = """
import os
from framework.observability.metrics import Counter
from framework.observability.process import name_process
name_process("master0")
starts = Counter("starts_total", "Starts.")
for slot in ("0", "1"):
    starts.inc()
    if os.fork() == 0:
        os.environ["SLIPWAY_WORKER_SLOT"] = slot
        Counter("answers_total", "Answers.").inc()
        os._exit(0)
    os.wait()
"""
    for _ in range(2):
        subprocess.run(
            [sys.executable, "-c", code], check=True, timeout=15, env=environment(tmp_path)
        )
    assert value(tmp_path, "starts_total") == 4
    assert value(tmp_path, "answers_total") == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "counter_0.db",
        "counter_1.db",
        "counter_master0.db",
    ]


def test_totals_of_one_worker_are_those_of_its_requests(tmp_path: Path) -> None:
    with start_worker(tmp_path, 0) as worker:
        for _ in range(3):
            worker.tell("1000")
    assert count_requests(tmp_path) == 3000


def test_a_directory_without_locks_takes_no_metrics_and_no_descriptors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: LogStream
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("framework.observability._metrics_file.fcntl.flock", fail)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(20):
        Cell("counter", "marks_total", "marks_total", ("n",), (str(number),), "Marks.").inc()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert log.getvalue().count("metrics not written") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["helper0.lock"]
