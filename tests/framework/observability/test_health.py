from __future__ import annotations

import time

import anyio
import pytest

from framework.observability.health import Readiness
from tests.framework.observability.harness import LogStream

pytestmark = pytest.mark.anyio


async def works() -> None:
    return


async def fails() -> None:
    raise ConnectionRefusedError("postgres://ann:hunter2@db")


async def hangs() -> None:
    await anyio.sleep_forever()


@pytest.fixture
def ready() -> Readiness:
    readiness = Readiness()
    readiness.set_ready()
    return readiness


async def test_a_process_is_not_ready_while_it_starts_and_asks_nobody() -> None:
    readiness = Readiness()
    readiness.add_check("database", fails)
    assert await readiness.report() == (False, {"state": "starting", "checks": {}})


async def test_a_process_without_dependencies_is_ready_after_its_start(ready: Readiness) -> None:
    assert await ready.report() == (True, {"state": "ready", "checks": {}})


async def test_a_draining_process_is_not_ready(ready: Readiness) -> None:
    ready.set_draining()
    assert await ready.report() == (False, {"state": "draining", "checks": {}})


async def test_draining_is_final() -> None:
    readiness = Readiness()
    readiness.set_draining()
    readiness.set_ready()
    assert readiness.state == "draining"


async def test_a_reset_begins_a_new_life(ready: Readiness) -> None:
    ready.add_check("database", fails)
    ready.set_draining()
    ready.reset()
    assert ready.state == "starting"
    ready.set_ready()
    assert await ready.report() == (True, {"state": "ready", "checks": {}})


async def test_each_dependency_is_reported(ready: Readiness, log: LogStream) -> None:
    ready.add_check("cache", works)
    ready.add_check("database", fails)
    ready.add_check("search", hangs)

    is_ready, details = await ready.report(timeout=0.05)

    assert not is_ready
    assert list(details["checks"]) == ["cache", "database", "search"]
    statuses = [check["status"] for check in details["checks"].values()]
    assert statuses == ["ok", "failed", "timeout"]
    assert details["checks"]["search"]["duration_ms"] >= 49
    assert [line["check"] for line in log.named("readiness check timed out")] == ["search"]


async def test_a_reason_is_logged_and_not_told(ready: Readiness, log: LogStream) -> None:
    ready.add_check("database", fails)

    _, details = await ready.report()

    assert "hunter2" not in str(details)
    (line,) = log.named("readiness check failed")
    assert (line["level"], line["check"]) == ("warning", "database")
    assert line["exception"][0]["type"] == "ConnectionRefusedError"


async def test_checks_run_at_the_same_time(ready: Readiness) -> None:
    async def slow() -> None:
        await anyio.sleep(0.5)

    for number in range(10):
        ready.add_check(f"check {number}", slow)
    begun_at = time.perf_counter()

    assert (await ready.report(timeout=5))[0]
    assert time.perf_counter() - begun_at < 2.5  # one after the other: 5


async def test_a_time_out_of_the_dependency_itself_counts_as_one(
    ready: Readiness, log: LogStream
) -> None:
    async def times_out() -> None:
        raise TimeoutError

    ready.add_check("database", times_out)
    _, details = await ready.report()
    assert details["checks"]["database"]["status"] == "timeout"
    (line,) = log.named("readiness check timed out")
    assert (line["level"], line["check"]) == ("warning", "database")


async def test_a_signal_during_the_checks_counts(ready: Readiness) -> None:
    async def drains() -> None:
        ready.set_draining()

    ready.add_check("database", drains)
    is_ready, details = await ready.report()
    assert not is_ready
    assert details["state"] == "draining"


async def test_a_report_can_be_cancelled(ready: Readiness) -> None:
    ready.add_check("database", hangs)
    with anyio.move_on_after(0.05) as scope:
        await ready.report(timeout=10)
    assert scope.cancelled_caught


async def test_a_name_is_used_once(ready: Readiness) -> None:
    ready.add_check("database", works)
    with pytest.raises(ValueError, match="'database'"):
        ready.add_check("database", works)
