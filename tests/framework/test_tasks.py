"""`app.tasks`: what runs, what waits, what is tried again, and what a shutdown does with it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework.applications import App
from framework.background import observe_background_tasks
from framework.exceptions import TooManyTasks
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Mount, Route
from framework.tasks import TaskSupervisor
from framework.tasks._task import compute_delay
from framework.testclient import AsyncTestClient

pytestmark = pytest.mark.anyio


class Flaky:
    """Fails a number of times, then succeeds."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError(f"call {self.calls}")


class Seen(list[tuple[str, str]]):
    """What observers were told: names and outcomes."""

    def __call__(self, name: str, seconds: float, error: BaseException | None) -> None:
        assert seconds >= 0
        outcome = "done" if error is None else "failed"
        self.append((name, outcome if isinstance(error, Exception | None) else "cancelled"))


@asynccontextmanager
async def running(tasks: TaskSupervisor) -> AsyncIterator[Seen]:
    """What the lifespan of an application does with its tasks."""
    seen = Seen()
    with observe_background_tasks(seen):
        async with tasks.open():
            tasks.begin()
            yield seen
            await tasks.drain()


def names_of_failures(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "framework.tasks"]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("framework.tasks._task.TASK_RETRY_SECONDS", 0.001)


async def test_async_and_sync_functions_run_with_their_arguments() -> None:
    found: list[tuple[int, bool]] = []

    async def note(number: int) -> None:
        found.append((number, threading.current_thread() is threading.main_thread()))

    def note_in_thread(number: int) -> None:
        found.append((number, threading.current_thread() is threading.main_thread()))

    tasks = TaskSupervisor()
    async with running(tasks) as seen:
        tasks.start_soon("in the loop", note, 1)
        tasks.start_soon("in a thread", note_in_thread, 2)
    assert sorted(found) == [(1, True), (2, False)]
    assert sorted(seen) == [("in a thread", "done"), ("in the loop", "done")]


async def test_tasks_beyond_the_limit_wait_and_those_beyond_the_line_are_refused() -> None:
    release = anyio.Event()
    tasks = TaskSupervisor(max_running=2, max_waiting=3)
    async with running(tasks) as seen:
        for number in range(5):
            tasks.start_soon(f"task {number}", release.wait)
        assert tasks.statistics() == (2, 3)
        with pytest.raises(TooManyTasks, match="'one more' is refused: 2 tasks run and 3 wait"):
            tasks.start_soon("one more", release.wait)
        release.set()
    assert sorted(name for name, outcome in seen if outcome == "done") == [
        f"task {number}" for number in range(5)
    ]
    assert tasks.statistics() == (0, 0)


async def test_a_full_line_is_a_503_with_the_time_to_come_back() -> None:
    async def endpoint(request: Request[Any]) -> Response:
        request.app.tasks.start_soon("stuck", anyio.sleep_forever)
        return PlainTextResponse("started")

    app = App(routes=[Route("/", endpoint)])
    app.tasks = TaskSupervisor(max_running=1, max_waiting=0, drain_seconds=0.01)
    async with AsyncTestClient(app) as client:
        assert (await client.get("/")).status_code == 200
        refused = await client.get("/")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")


async def test_a_failure_is_tried_again_until_it_succeeds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flaky, tasks = Flaky(2), TaskSupervisor()
    async with running(tasks) as seen:
        tasks.start_soon("flaky", flaky, retries=3)
    assert flaky.calls == 3
    assert seen == [("flaky", "done")]
    assert [message.split(", the next")[0] for message in names_of_failures(caplog)] == [
        "Task 'flaky' has failed in attempt 1 of 4",
        "Task 'flaky' has failed in attempt 2 of 4",
    ]


async def test_the_last_failure_is_told_once_and_takes_nothing_along() -> None:
    flaky, tasks = Flaky(9), TaskSupervisor()
    async with running(tasks) as seen:
        tasks.start_soon("flaky", flaky, retries=1)
        tasks.start_soon("other", anyio.sleep, 0.05)
    assert flaky.calls == 2
    assert sorted(seen) == [("flaky", "failed"), ("other", "done")]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # nothing else can cancel on trio
async def test_a_task_that_something_else_has_cancelled_has_failed_and_takes_nothing_along() -> (
    None
):
    async def wait_for_what_is_cancelled() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    tasks = TaskSupervisor()
    async with running(tasks) as seen:
        tasks.start_soon("cancelled", wait_for_what_is_cancelled, retries=1)
        tasks.start_soon("other", anyio.sleep, 0.05)
    assert sorted(seen) == [("cancelled", "failed"), ("other", "done")]


async def test_without_an_observer_a_failure_is_one_log_line_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = TaskSupervisor()
    async with tasks.open():
        tasks.start_soon("flaky", Flaky(1))
        await tasks.drain()
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "Task 'flaky' has failed")
    assert record.exc_info
    assert record.exc_info[0] is ConnectionError


async def test_an_attempt_that_takes_too_long_is_stopped() -> None:
    tasks = TaskSupervisor()
    async with running(tasks) as seen:
        tasks.start_soon("slow", anyio.sleep_forever, timeout=0.01)
    assert seen == [("slow", "failed")]


async def test_an_attempt_does_not_join_a_thread_that_takes_too_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release, calls = threading.Event(), []

    def hang() -> None:
        calls.append(1)
        release.wait(5)

    tasks = TaskSupervisor()
    async with running(tasks) as seen:
        tasks.start_soon("hang", hang, retries=2, timeout=0.02)
        await tasks.drain()
        release.set()
    assert len(calls) == 1
    assert seen == [("hang", "failed")]
    assert "its thread still runs" in names_of_failures(caplog)[1]


async def test_pauses_double_up_to_a_limit_and_half_of_each_is_random(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("framework.tasks._task.TASK_RETRY_SECONDS", 0.5)
    for attempt, longest in enumerate([0.5, 1, 2, 4, 8, 16, 30, 30]):
        delays = [compute_delay(attempt) for _ in range(200)]
        assert longest / 2 <= min(delays) < longest * 0.75 < max(delays) <= longest
    assert compute_delay(100_000) <= 30


async def test_shutdown_waits_for_what_runs_and_what_waits_and_for_what_they_start() -> None:
    tasks = TaskSupervisor(max_running=1)
    done: list[str] = []

    async def work(name: str, *, then: Callable[[], None] | None = None) -> None:
        await anyio.sleep(0.02)
        done.append(name)
        if then is not None:
            then()

    async def first() -> None:
        await work("first", then=lambda: tasks.start_soon("third", work, "third"))

    async with running(tasks):
        tasks.start_soon("first", first)
        tasks.start_soon("second", work, "second")
    assert done == ["first", "second", "third"]


async def test_shutdown_names_what_it_leaves_and_observers_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks = TaskSupervisor(max_running=1, drain_seconds=0.02)
    with anyio.fail_after(5):
        async with running(tasks) as seen:
            tasks.start_soon("stuck", anyio.sleep_forever)
            tasks.start_soon("behind it", anyio.sleep_forever)
    assert sorted(seen) == [("behind it", "cancelled"), ("stuck", "cancelled")]
    assert names_of_failures(caplog) == [
        "Not finished when the application stopped: stuck (running), behind it (waiting)"
    ]


async def test_a_thread_that_does_not_end_does_not_hold_a_shutdown_up() -> None:
    release = threading.Event()
    tasks = TaskSupervisor(drain_seconds=0.02)
    try:
        with anyio.fail_after(5):
            async with running(tasks) as seen:
                tasks.start_soon("stuck", release.wait)
        assert seen == [("stuck", "cancelled")]
    finally:
        release.set()


async def test_tasks_are_drained_before_the_lifespan_closes_what_they_use() -> None:
    events: list[str] = []

    async def work() -> None:
        await anyio.sleep(0.02)
        events.append("work")

    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        events.append("open")
        app.tasks.start_soon("early", work)
        yield
        events.append("close")

    async with AsyncTestClient(App(lifespan=lifespan)):
        pass
    assert events == ["open", "work", "close"]


async def test_a_lifespan_that_fails_to_start_fails_with_its_own_exception() -> None:
    @asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        app.tasks.start_soon("early", anyio.sleep_forever)
        if app.debug is False:
            raise LookupError("no database")
        yield

    with pytest.raises(LookupError, match="no database"):
        async with AsyncTestClient(App(lifespan=lifespan)):
            pass


@pytest.mark.parametrize("mount_lifespans", [True, False])
async def test_tasks_of_a_mounted_application_run_with_its_lifespan(mount_lifespans: bool) -> None:
    done: list[str] = []

    async def note() -> None:
        done.append("note")

    async def endpoint(request: Request[Any]) -> Response:
        request.app.tasks.start_soon("note", note)
        return PlainTextResponse("started")

    inner = App(routes=[Route("/", endpoint)])
    app = App(routes=[Mount("/inner", inner)], mount_lifespans=mount_lifespans)
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        status = (await client.get("/inner/")).status_code
    assert (status, done) == ((200, ["note"]) if mount_lifespans else (500, []))


async def test_a_sync_endpoint_starts_tasks_too() -> None:
    done: list[str] = []

    async def note(text: str) -> None:
        done.append(text)

    def endpoint(request: Request[Any]) -> Response:
        request.app.tasks.start_soon("note", note, "from a thread")
        return PlainTextResponse("started")

    async with AsyncTestClient(App(routes=[Route("/", endpoint)])) as client:
        assert (await client.get("/")).status_code == 200
    assert done == ["from a thread"]


async def test_one_application_runs_many_times_but_not_twice_at_once() -> None:
    app = App()
    for _ in range(2):
        async with AsyncTestClient(app):
            with pytest.raises(RuntimeError, match="run already, in another lifespan"):
                async with app.tasks.open():
                    pass
    with pytest.raises(RuntimeError, match="'late' cannot start"):
        app.tasks.start_soon("late", anyio.sleep, 0)


@pytest.mark.parametrize(
    ("name", "options", "complaint"),
    [
        ("", {}, "name='' of a task"),
        ("x", {"retries": -1}, "retries=-1 of task 'x'"),
        ("x", {"timeout": 0}, "timeout=0 of task 'x'"),
    ],
)
async def test_options_that_make_no_sense_are_refused(
    name: str, options: dict[str, Any], complaint: str
) -> None:
    tasks = TaskSupervisor()
    async with tasks.open():
        with pytest.raises(ValueError, match=complaint):
            tasks.start_soon(name, anyio.sleep, 0, **options)


async def test_a_coroutine_in_place_of_a_function_is_refused() -> None:
    tasks = TaskSupervisor()
    async with tasks.open():
        with pytest.raises(TypeError, match="task 'x' is of type coroutine: pass the function"):
            tasks.start_soon("x", anyio.lowlevel.checkpoint())  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="task 'y' is of type int"):
            tasks.every(1, "y", 7)  # type: ignore[arg-type]


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="max_running=0"):
        TaskSupervisor(max_running=0)
    with pytest.raises(ValueError, match="max_waiting=-1"):
        TaskSupervisor(max_waiting=-1)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_sync_task_that_raises_a_cancellation_takes_nothing_along() -> None:
    def cancel() -> None:
        raise asyncio.CancelledError

    done: list[str] = []
    tasks = TaskSupervisor()
    async with tasks.open():
        tasks.start_soon("cancelled", cancel)
        await anyio.sleep(0.1)
        tasks.start_soon("other", done.append, "other")
        await tasks.drain()
    assert done == ["other"]
