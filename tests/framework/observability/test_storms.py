from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from typing import Any

import pytest

from framework.observability import _storms
from framework.observability._limits import LINES_OF_A_STORM, MAX_STORMS, STORM_SECONDS
from framework.observability._storms import StormGate
from framework.observability.logging import get_logger
from tests.framework.observability.harness import LogStream


class Said:
    """A clock, a gate, and what the gate says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_storms, "start_thread", lambda function: True)
        self.now = 100.0
        self.lines: list[tuple[str, str, str, dict[str, Any]]] = []
        self.gate = StormGate(lambda *line: self.lines.append(line), clock=lambda: self.now)

    def admit(self, event: str, exc: BaseException | None = None) -> bool:
        return self.gate.admit("error", "app", event, exc)

    def report(self) -> None:
        """What the thread does now and then."""
        self.gate._say(self.gate._take(self.now)[0])


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    return Said(monkeypatch)


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_of_10_000_equal_lines_few_are_written(
    log: LogStream, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setattr(_storms, "STORM_SECONDS", 600)
    logger, library = get_logger("app"), logging.getLogger("library")
    for number in range(10_000):
        getattr(logger, level)("disk is slow", number=number)
        getattr(library, level)("request %d failed", number)

    assert len(log.named("disk is slow")) == LINES_OF_A_STORM
    assert len(log.lines()) == 2 * LINES_OF_A_STORM


def test_lines_that_are_no_complaint_are_all_written(log: LogStream) -> None:
    for number in range(1000):
        get_logger("app").info("order placed", number=number)
    assert len(log.lines()) == 1000


def test_how_many_were_left_out_is_said_when_the_time_is_over(said: Said) -> None:
    assert [said.admit("x") for _ in range(500)].count(True) == LINES_OF_A_STORM
    assert said.admit("y")
    said.now += STORM_SECONDS / 2
    said.report()
    assert said.lines == []
    said.now += STORM_SECONDS / 2
    assert not said.admit("x")  # nobody has said it yet
    said.report()
    assert said.lines == [("error", "app", "x", {"suppressed": 501 - LINES_OF_A_STORM})]
    assert said.admit("x")
    said.report()
    assert len(said.lines) == 1


def test_few_lines_now_and_then_are_no_storm(said: Said) -> None:
    for _ in range(20):
        assert all(said.admit("x") for _ in range(LINES_OF_A_STORM))
        said.now += STORM_SECONDS
    said.gate.flush()
    assert said.lines == []


def test_exceptions_from_different_places_are_different(said: Said) -> None:
    def fail(kind: type[Exception], *, here: bool) -> Exception:
        try:
            if here:
                raise kind("x")
            raise kind("y")
        except Exception as exc:
            return exc

    failures = [fail(kind, here=here) for kind in (ValueError, TypeError) for here in (True, False)]
    for _ in range(100):
        for exc in failures:
            said.admit("unhandled exception", exc)
    said.gate.flush()
    suppressed = [fields["suppressed"] for *_, fields in said.lines]
    assert suppressed == [100 - LINES_OF_A_STORM] * 4


def test_very_many_different_events_are_bounded_and_counted(said: Said) -> None:
    events = [f"no such user {number}" for number in range(MAX_STORMS + 5000)]
    written = sum(said.admit(event) for event in events)
    assert written == MAX_STORMS + LINES_OF_A_STORM
    assert len(said.gate._storms) == MAX_STORMS + 1
    said.gate.flush()
    (line,) = said.lines
    assert line[2] == "very many different events"
    assert line[3] == {"suppressed": 5000 - LINES_OF_A_STORM}

    said.now += STORM_SECONDS + 1
    assert said.admit("something else")
    assert len(said.gate._storms) == 1


CODE = """
import os, time
from framework.observability import _storms
_storms.STORM_SECONDS = WINDOW
from framework.observability.logging import configure_logging, get_logger
configure_logging(format="json")
for _ in range(10_000):
    get_logger("app").warning("disk is slow")
"""


def run(seconds: float, code: str = "") -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CODE.replace("WINDOW", str(seconds)) + code],
        capture_output=True,
        text=True,
        timeout=15,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_count_is_written_by_itself() -> None:
    lines = run(2, "time.sleep(4); os._exit(0)")
    assert len(lines) == LINES_OF_A_STORM + 1
    assert '"event":"disk is slow","suppressed":9990' in lines[-1]


def test_the_count_is_written_at_the_end_of_the_process() -> None:
    lines = run(60)
    assert len(lines) == LINES_OF_A_STORM + 1
    assert '"suppressed":9990' in lines[-1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_does_not_say_it_again() -> None:
    lines = run(60, "if os.fork(): os.wait(); os._exit(0)")
    # From Python 3.12 on, that a process with threads is forked is a warning.
    assert len([line for line in lines if "disk is slow" in line]) == LINES_OF_A_STORM


def test_a_line_that_passes_costs_little(log: LogStream) -> None:
    gate = StormGate(lambda *_: None)
    begin = time.thread_time()
    for number in range(20_000):
        gate.admit("error", "app", f"event {number}")
    assert time.thread_time() - begin < 2  # no walk through the table for each of them
