"""Background tasks and threads in metrics and logs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from prometheus_client import CollectorRegistry

from framework.applications import App
from framework.background import BackgroundTask, BackgroundTasks
from framework.concurrency import endpoint_threads, run_in_threadpool
from framework.observability._limits import MAX_TASK_NAMES
from framework.observability.metrics import OVERFLOW, BackgroundMetrics, HttpMetrics
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route
from framework.tasks import TaskSupervisor
from framework.testclient import AsyncTestClient
from tests.framework.observability.harness import REQUEST_ID, LogStream, Observe

pytestmark = pytest.mark.anyio

SHARED = LookupError("the same instance every time")


async def succeed() -> None:
    await anyio.sleep(0.01)


async def fail(text: str = "broken") -> None:
    raise LookupError(text)


def fail_in_thread() -> None:
    raise OSError("in a thread")


async def fail_to_send() -> None:
    raise ConnectionError("no mail today")


async def fail_shared() -> None:
    raise SHARED


async def fail_in_group() -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fail)


def build_app(*tasks: Callable[[], Any]) -> App:
    async def endpoint(request: Request[Any]) -> Response:
        background = BackgroundTasks([BackgroundTask(task) for task in tasks])
        return PlainTextResponse("answered", background=background)

    async def direct(request: Request[Any]) -> Response:
        raise SHARED

    return App(routes=[Route("/", endpoint), Route("/direct", direct)])


async def get(app: Any, path: str = "/") -> Any:
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        return await client.get(path, headers={"x-request-id": REQUEST_ID})


def count(registry: CollectorRegistry, task: Callable[..., Any], outcome: str) -> float | None:
    labels = {"task": f"{task.__module__}.{task.__qualname__}", "outcome": outcome}
    return registry.get_sample_value("background_tasks_total", labels)


async def test_tasks_are_counted_and_timed(observe: Observe, registry: CollectorRegistry) -> None:
    app = observe(build_app(succeed, succeed, fail))
    assert (await get(app)).text == "answered"
    assert count(registry, succeed, "succeeded") == 2
    assert count(registry, fail, "failed") == 1
    assert count(registry, fail, "succeeded") is None
    labels = {"task": f"{__name__}.succeed"}
    seconds = registry.get_sample_value("background_task_duration_seconds_sum", labels)
    assert seconds is not None
    assert 0.02 <= seconds < 5


async def test_a_cancelled_task_is_counted_and_logged(
    observe: Observe, log: LogStream, registry: CollectorRegistry
) -> None:
    async def wait() -> None:
        test.cancel()
        await anyio.sleep_forever()

    with anyio.CancelScope() as test:
        await get(observe(build_app(wait)))
    assert count(registry, wait, "cancelled") == 1
    assert [line["level"] for line in log.named("background task cancelled")] == ["warning"]


@pytest.mark.parametrize(
    ("task", "kind"),
    [(fail, "LookupError"), (fail_in_thread, "OSError"), (fail_in_group, "ExceptionGroup")],
)
async def test_a_failure_is_one_event_with_the_request_id(
    observe: Observe, log: LogStream, task: Callable[[], Any], kind: str
) -> None:
    assert (await get(observe(build_app(succeed, task)))).text == "answered"
    (line,) = log.named("background task failed")
    assert (line["level"], line["logger"]) == ("error", "framework.errors")
    assert (line["request_id"], line["task"]) == (REQUEST_ID, f"{__name__}.{task.__name__}")
    assert line["exception"][0]["type"] == kind
    assert line["exception"][0]["frames"][-1]["function"]
    assert line["duration_ms"] >= 0
    assert log.named("unhandled exception") == []
    assert [line["status"] for line in log.named("request")] == [200]


async def test_each_of_several_failures_is_one_event(observe: Observe, log: LogStream) -> None:
    await get(observe(build_app(fail, succeed, fail_in_thread)))
    tasks = [line["task"].rpartition(".")[2] for line in log.named("background task failed")]
    assert tasks == ["fail", "fail_in_thread"]
    assert log.named("unhandled exception") == []


async def test_an_exception_that_is_raised_again_elsewhere_is_logged_again(
    observe: Observe, log: LogStream
) -> None:
    app = observe(build_app(fail_shared))
    async with AsyncTestClient(app, raise_server_exceptions=False) as client:
        await client.get("/")
        assert (await client.get("/direct")).status_code == 500
        await client.get("/")
    assert len(log.named("background task failed")) == 2
    assert len(log.named("unhandled exception")) == 1


async def test_without_a_lifespan_a_failure_is_an_unhandled_exception(
    observe: Observe, log: LogStream
) -> None:
    client = AsyncTestClient(observe(build_app(fail)), raise_server_exceptions=False)
    await client.get("/")
    assert log.named("background task failed") == []
    assert len(log.named("unhandled exception")) == 1


async def test_without_metrics_failures_are_logged(observe: Observe, log: LogStream) -> None:
    await get(observe(build_app(fail), metrics=None))
    assert len(log.named("background task failed")) == 1


def test_names_that_are_made_at_run_time_share_a_series(registry: CollectorRegistry) -> None:
    metrics = BackgroundMetrics(registry)
    for number in range(MAX_TASK_NAMES + 50):
        metrics.end(f"task{number}", "succeeded", 0.1)
    labels = {"task": OVERFLOW, "outcome": "succeeded"}
    assert registry.get_sample_value("background_tasks_total", labels) == 50
    labels = {"task": "task0", "outcome": "succeeded"}
    metrics.end("task0", "succeeded", 0.1)
    assert registry.get_sample_value("background_tasks_total", labels) == 2


async def test_threads_are_measured_by_what_they_do(registry: CollectorRegistry) -> None:
    metrics = HttpMetrics(registry)
    lifted = threading.Event()

    def read(field: str, pool: str) -> float | None:
        return registry.get_sample_value(f"threads_{field}", {"pool": pool})

    async with anyio.create_task_group() as tasks:
        for _ in range(endpoint_threads.limit + 2):
            tasks.start_soon(run_in_threadpool, lifted.wait, 10)
        await anyio.wait_all_tasks_blocked()
        # As the worker does it: in a thread of its own.
        thread = threading.Thread(target=metrics.worker.sample)
        thread.start()
        await anyio.to_thread.run_sync(thread.join, limiter=anyio.CapacityLimiter(1))
        assert read("used", "endpoints") == endpoint_threads.limit
        assert read("waiting", "endpoints") == 2
        assert (read("used", "files"), read("used", "background")) == (0, 0)
        assert (read("limit", "files") or 0) >= 1
        lifted.set()


@pytest.mark.parametrize("is_sync", [False, True], ids=["async", "sync"])
async def test_a_failed_application_task_is_one_event_with_the_id_of_its_request(
    observe: Observe, log: LogStream, registry: CollectorRegistry, *, is_sync: bool
) -> None:
    async def endpoint(request: Request[Any]) -> Response:
        return start(request)

    def start(request: Request[Any]) -> Response:
        task = fail_to_send if request.url.path == "/fail" else succeed
        request.app.tasks.start_soon("mail", task)
        return PlainTextResponse("started")

    paths = ("/fail", "/other")
    app = App(routes=[Route(path, start if is_sync else endpoint) for path in paths])
    # One at a time: the second begins in the context of the first, and must not have its id.
    app.tasks = TaskSupervisor(max_running=1)
    async with AsyncTestClient(observe(app)) as client:
        await client.get("/other", headers={"x-request-id": "another"})
        await client.get("/fail", headers={"x-request-id": REQUEST_ID})
    (line,) = log.named("background task failed")
    assert (line["request_id"], line["task"]) == (REQUEST_ID, "mail")
    labels = {"task": "mail", "outcome": "failed"}
    assert registry.get_sample_value("background_tasks_total", labels) == 1


async def test_an_application_task_that_shutdown_leaves_is_named(
    observe: Observe, log: LogStream
) -> None:
    app = App()
    app.tasks = TaskSupervisor(drain_seconds=0.01)
    async with AsyncTestClient(observe(app)):
        app.tasks.start_soon("stuck", anyio.sleep_forever)
    assert [line["task"] for line in log.named("background task cancelled")] == ["stuck"]
    (line,) = [line for line in log.lines() if line["logger"] == "framework.tasks"]
    assert line["event"] == "Not finished when the application stopped: stuck (running)"
