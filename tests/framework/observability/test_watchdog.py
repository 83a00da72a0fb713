"""The watchdog of the event loop, with loops that are really blocked."""

from __future__ import annotations

import asyncio
import select
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from framework.observability.watchdog import LoopWatchdog, add_lag_observer, remove_lag_observer
from tests.framework.observability.harness import LogStream


def block(seconds: float) -> None:
    select.poll().poll(seconds * 1000)


def run(work: Callable[[], Any], *, after: float = 0.1) -> list[float]:
    """Do `work` on a loop that is watched; return the lags."""
    lags: list[float] = []

    async def main() -> None:
        with LoopWatchdog(blocked_seconds=1, beat_seconds=0.02, look_seconds=0.05):
            await asyncio.sleep(0.1)
            work()
            await asyncio.sleep(after)

    add_lag_observer(lags.append)
    try:
        asyncio.run(main())
    finally:
        remove_lag_observer(lags.append)
    return lags


def test_a_block_is_reported_once_with_its_line_and_then_with_its_length(log: LogStream) -> None:
    lags = run(lambda: block(2))
    begin, end = log.lines()
    line = block.__code__.co_firstlineno + 1
    assert begin["event"] == "event loop is blocked"
    assert begin["level"] == "error"
    assert begin["at"] == f"{__file__}:{line}"
    assert begin["frames"][-1] == {"file": __file__, "line": line, "function": "block"}
    assert 1 <= begin["blocked_seconds"] <= 2
    assert end["event"] == "event loop goes on"
    assert 1.9 <= end["blocked_seconds"] < 4
    assert max(lags) == pytest.approx(end["blocked_seconds"], abs=0.01)


def test_two_blocks_are_two_reports(log: LogStream) -> None:
    run(lambda: block(2))
    run(lambda: block(2))
    assert [event["event"].split()[-1] for event in log.lines()] == ["blocked", "on"] * 2


def test_python_code_that_never_waits_is_seen_too(log: LogStream) -> None:
    def spin() -> None:
        end = time.monotonic() + 2
        while time.monotonic() < end:
            pass

    run(spin)
    assert log.lines()[0]["frames"][-1]["function"].endswith("spin")


def test_a_loop_that_waits_is_not_blocked(log: LogStream) -> None:
    lags = run(lambda: None, after=0.6)
    assert log.lines() == []
    assert len(lags) > 5


def test_a_failing_observer_does_not_stop_the_watch(log: LogStream) -> None:
    def fail(lag: float) -> None:
        raise LookupError(lag)

    add_lag_observer(fail)
    try:
        lags = run(lambda: None)
    finally:
        remove_lag_observer(fail)
    assert len(lags) > 2
    assert {event["event"] for event in log.lines()} == {"loop lag not observed"}


def test_the_thread_ends_with_the_watch() -> None:
    run(lambda: None)
    deadline = time.monotonic() + 5
    while any(thread.name == "loop-watchdog" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_observer_that_was_not_added_cannot_be_removed() -> None:
    with pytest.raises(ValueError, match="not in list"):
        remove_lag_observer(print)
