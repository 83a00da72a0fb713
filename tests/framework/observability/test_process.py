from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from framework.observability import process
from framework.observability.process import count_open_fds, read_resident_bytes


def run(code: str, **environ: str) -> object:
    """Run the code in a process of its own; what it prints is JSON."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import json, os\nfrom framework.observability.process import *\n"
            "from framework.observability import process\n"
            "def told():\n"
            "    return [process.worker_slot(), process.log_fields().get('worker_slot'),\n"
            "            process.file_identifier(),\n"
            "            process.log_fields()['pid'] == os.getpid()]\n" + code,
        ],
        capture_output=True,
        text=True,
        timeout=15,
        check=True,
        env={**os.environ, **environ},
    )
    return json.loads(done.stdout)


def test_a_worker_is_named_after_its_slot() -> None:
    told = run("print(json.dumps(told()))", SLIPWAY_WORKER_SLOT="3")
    assert told == ["3", 3, "3", True]


@pytest.mark.parametrize("slot", ["", "-1", "../x", "a_b"])
def test_a_process_without_a_slot_has_no_name(slot: str) -> None:
    told = run("print(json.dumps(told()))", SLIPWAY_WORKER_SLOT=slot)
    assert told == [None, None, None, True]


def test_the_slot_may_be_set_after_the_first_look() -> None:
    told = run("""
first = told()
os.environ["SLIPWAY_WORKER_SLOT"] = "2"
print(json.dumps([first, told()]))
""")
    assert told == [[None, None, None, True], ["2", 2, "2", True]]


def test_a_fork_of_the_master_takes_the_slot_that_it_is_given() -> None:
    told = run("""
told()
reader, writer = os.pipe()
if os.fork() == 0:
    told()
    os.environ["SLIPWAY_WORKER_SLOT"] = "1"
    os.write(writer, json.dumps(told()).encode())
    os._exit(0)
os.wait()
print(os.read(reader, 1000).decode())
""")
    assert told == ["1", 1, "1", True]


def test_what_a_worker_forks_does_not_own_its_slot() -> None:
    told = run(
        """
told()
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, json.dumps(told()).encode())
    os._exit(0)
os.wait()
print(os.read(reader, 1000).decode())
""",
        SLIPWAY_WORKER_SLOT="1",
    )
    assert told == [None, None, None, True]


_BY_THE_SERVER = """
from types import SimpleNamespace as Object
from framework.server.hooks import MasterHooks
MasterHooks.post_fork(None, Object(num_workers=2), Object(slot=1))
"""


@pytest.mark.parametrize("begin", ["process.take_slot(1)", _BY_THE_SERVER], ids=["alone", "server"])
def test_what_a_worker_starts_does_not_own_its_slot(begin: str) -> None:
    """Such as the processes of a `ProcessPoolExecutor`."""
    told = run(
        begin
        + """
import subprocess, sys
code = "from framework.observability.process import worker_slot; print(worker_slot())"
print(json.dumps([told(), subprocess.check_output([sys.executable, "-c", code], text=True)]))
"""
    )
    assert told == [["1", 1, "1", True], "None\n"]


def test_resident_memory_is_in_bytes() -> None:
    # In a new process: this one may have as much memory that it has freed and not given back.
    told = run(
        "before = read_resident_bytes()\n"
        "block = bytearray(os.urandom(1)) * 50_000_000\n"
        "print(json.dumps([before, read_resident_bytes()]))"
    )
    assert isinstance(told, list)
    before, after = told

    assert 1_000_000 < before < 10_000_000_000
    assert 45_000_000 < after - before < 100_000_000


def test_without_proc_the_peak_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_resident_bytes()
    monkeypatch.setattr(process, "_STATM", Path("/nonexistent"))
    assert read_resident_bytes() > 0.9 * expected


def test_open_descriptors_are_counted(tmp_path: Path) -> None:
    before = count_open_fds()
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        assert before is not None
        assert count_open_fds() == before + 2


def test_no_listing_of_descriptors_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_FD_DIRECTORIES", ("/nonexistent",))
    assert count_open_fds() is None
