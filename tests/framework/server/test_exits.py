"""Why a worker has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from framework.server.exits import REASONS, find_reason, peek_statuses
from framework.server.report import WorkerReport


def build_worker(*, aborted: bool = False, serves: bool = True, old: bool = False) -> object:
    report = SimpleNamespace(serves=serves, wants_replacement=old)
    return SimpleNamespace(aborted=aborted, report=report)


@pytest.mark.parametrize(
    ("worker", "status", "is_retiring", "is_stopping", "reason"),
    [
        (build_worker(), 0, True, False, "replaced"),
        (build_worker(old=True), 0, True, False, "recycled"),
        (build_worker(), 0, False, True, "stopped"),
        (build_worker(), -signal.SIGKILL, True, True, "stopped"),
        (build_worker(aborted=True), -signal.SIGABRT, False, False, "timeout"),
        (build_worker(aborted=True), -signal.SIGKILL, True, False, "timeout"),
        (build_worker(serves=False), 1, False, False, "boot_failed"),
        (build_worker(), -signal.SIGKILL, False, False, "killed"),
        (build_worker(old=True), -signal.SIGKILL, True, False, "killed"),
        (build_worker(), -signal.SIGSEGV, False, False, "crashed"),
        (build_worker(), 1, False, False, "failed"),
        (build_worker(), 0, False, False, "exited"),
    ],
)
def test_the_reason_is_the_first_that_fits(
    worker: object, status: int, is_retiring: bool, is_stopping: bool, reason: str
) -> None:
    found = find_reason(worker, status, is_retiring=is_retiring, is_stopping=is_stopping)
    assert found == reason
    assert reason in REASONS


def test_a_report_has_what_is_asked_for() -> None:
    assert (WorkerReport().serves, WorkerReport().wants_replacement) == (False, False)


def test_the_status_of_a_child_is_seen_and_left_to_be_waited_for() -> None:
    codes = {
        "import sys; sys.exit(7)": 7,
        "import os; os.kill(os.getpid(), 9)": -9,
        "pass": 0,
    }
    processes = {
        subprocess.Popen([sys.executable, "-S", "-c", code]): status
        for code, status in codes.items()
    }
    for process, status in processes.items():
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert peek_statuses([process.pid, os.getpid()]) == {process.pid: status}
        assert process.wait() == status
        assert peek_statuses([process.pid]) == {}


def test_a_child_that_lives_has_no_status() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert peek_statuses([child.pid]) == {}
        child.kill()
