"""What is said about a blocked event loop, and what is done about it."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path

import pytest

from tests.e2e import sample
from tests.e2e.service import Service, wait_for

BLOCKING_LINE = 1 + Path(sample.__file__).read_text().splitlines().index(
    '        time.sleep(float(scope["query_string"]))  # noqa: ASYNC251 - this is what it is for'
)


def block(service: Service, seconds: float) -> threading.Thread:
    def ask() -> None:
        with contextlib.suppress(OSError):
            service.get(f"/block?{seconds}")

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def test_a_blocked_loop_is_one_event_with_the_line_and_one_with_the_total(tmp_path: Path) -> None:
    with Service(tmp_path) as service:
        service.wait_until_up()
        request = block(service, 2.5)
        wait_for(lambda: service.count("event loop is blocked"), "it is noticed")
        for _ in range(3):
            with contextlib.suppress(OSError):  # the blocked worker may be the one that is asked
                service.get("/")
        request.join()
        wait_for(lambda: service.count("event loop goes on"), "the end is noticed")
        [begin] = [event for event in service.events if event["event"] == "event loop is blocked"]
        [end] = [event for event in service.events if event["event"] == "event loop goes on"]
        assert begin["level"] == "error"
        assert begin["at"] == f"{sample.__file__}:{BLOCKING_LINE}"
        assert begin["frames"][-1]["function"] == "app"
        assert 1.0 <= begin["blocked_seconds"] < 2.4
        assert 2.3 <= end["blocked_seconds"] < 4
        assert end["worker_slot"] == begin["worker_slot"]
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


@pytest.mark.timeout(40)
def test_a_worker_that_stays_blocked_is_replaced_and_the_log_says_where(tmp_path: Path) -> None:
    env = {"WORKER_TIMEOUT": "4", "GRACEFUL_TIMEOUT": "3"}
    with Service(tmp_path, env=env) as service:
        service.wait_until_up()
        request = block(service, 60)
        wait_for(lambda: service.count("WORKER TIMEOUT"), "the master notices")
        wait_for(lambda: service.count(" serves") == 3, "the worker is replaced")
        request.join()
        assert len(service.workers()) == 2
        [event] = [event for event in service.events if event["event"] == "event loop is blocked"]
        assert event["at"].endswith(f"sample.py:{BLOCKING_LINE}")
        [timeout] = [event for event in service.events if "WORKER TIMEOUT" in event["event"]]
        assert timeout["level"] == "critical"
        assert str(event["pid"]) in timeout["event"]
