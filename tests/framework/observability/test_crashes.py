"""What a process leaves in the log stream when it dies; each case is a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from typing import Any

import pytest

SET_UP = """
import os, signal, sys, threading
from framework.observability.logging import configure_logging, get_logger
configure_logging(format="json")
"""


def run(code: str) -> tuple[int, list[dict[str, Any]], str]:
    done = subprocess.run(
        [sys.executable, "-c", SET_UP + code],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_an_uncaught_exception_is_one_line_of_the_stream() -> None:
    code, lines, stderr = run("raise ValueError('boot\\nfailed')")

    assert code == 1
    assert stderr == ""
    (line,) = lines
    assert (line["level"], line["event"]) == ("critical", "uncaught exception")
    assert line["exception"][0]["message"] == "boot\nfailed"


def test_an_uncaught_exception_in_a_thread_is_one_line_too() -> None:
    code, lines, stderr = run("""
def fail():
    raise ValueError("thread failed")
thread = threading.Thread(target=fail, name="worker-9")
thread.start()
thread.join()
""")
    assert (code, stderr) == (0, "")
    (line,) = lines
    assert (line["level"], line["thread"]) == ("error", "worker-9")
    assert line["exception"][0]["message"] == "thread failed"


def test_an_interrupt_is_no_crash() -> None:
    code, lines, _ = run("raise KeyboardInterrupt")

    assert code == -signal.SIGINT
    assert lines == []


@pytest.mark.parametrize("format", ["json", "console"])
def test_the_last_line_before_a_kill_is_there(format: str) -> None:
    code = f"""{SET_UP}
configure_logging(format={format!r})
get_logger("app").info("last words")
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=15, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert b"last words" in done.stdout


def test_lines_of_several_processes_do_not_mix() -> None:
    code, lines, _ = run("""
from framework.observability import _sink, logging
_sink.LAST_LINES_SECONDS = 30  # however late the reader is: here no line may be missing
children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        for line in range(200):
            get_logger("app").info("x", number=number, text=str(number) * 3000)
        logging._sink.flush()
        os._exit(0)
    children.append(pid)
for pid in children:
    os.waitpid(pid, 0)
""")
    assert code == 0
    assert len(lines) == 800
    assert all(set(line["text"]) == {str(line["number"])} for line in lines)
    assert len({line["pid"] for line in lines}) == 4
