"""What a worker measures of itself."""

from __future__ import annotations

import gc
import threading
import time

import anyio
import pytest
from prometheus_client import CollectorRegistry

from framework.applications import App
from framework.concurrency import ThreadPool
from framework.middleware.compress import compression_threads
from framework.observability import _worker_metrics
from framework.observability.metrics import HttpMetrics
from framework.observability.watchdog import LoopWatchdog
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route
from framework.testclient import AsyncTestClient
from tests.framework.observability.harness import Observe


@pytest.fixture
def metrics(registry: CollectorRegistry) -> HttpMetrics:
    return HttpMetrics(registry)


def test_processor_time_is_counted_by_slot(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    def read() -> float:
        metrics.worker.sample()
        value = registry.get_sample_value("process_worker_cpu_seconds_total", {"worker_slot": "0"})
        return value or 0.0

    before, begun = read(), time.process_time()
    while time.process_time() < begun + 0.05:
        pass
    assert 0.05 <= read() - before < 5.0
    assert before == pytest.approx(begun, abs=1.0)


def test_garbage_collections_and_their_pauses_are_counted(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    oldest = {"generation": "2"}
    callbacks = len(gc.callbacks)
    metrics.worker.start()
    gc.collect()
    gc.collect(0)
    metrics.worker.stop()
    gc.collect()

    assert registry.get_sample_value("gc_collections_total", oldest) == 1
    assert (registry.get_sample_value("gc_collections_total", {"generation": "0"}) or 0) >= 1
    pause = registry.get_sample_value("gc_pause_seconds_total", oldest)
    assert pause is not None
    assert 0.0 < pause < 5.0
    assert len(gc.callbacks) == callbacks


def test_the_start_of_a_worker_is_known(metrics: HttpMetrics, registry: CollectorRegistry) -> None:
    metrics.start_worker()
    metrics.stop_worker()
    slot = {"worker_slot": "0"}
    started = registry.get_sample_value("process_worker_start_time_seconds", slot)
    assert started == pytest.approx(time.time(), abs=20)


@pytest.mark.anyio
async def test_threads_of_every_pool_are_measured(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    pool = ThreadPool("tested", 3)
    entered, left = threading.Event(), threading.Event()

    def wait() -> None:
        entered.set()
        left.wait(10)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(pool.run, wait)
        while pool.statistics().waiting < 2:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.01)
        await anyio.to_thread.run_sync(metrics.worker.sample)
        left.set()

    def read(field: str, name: str) -> float | None:
        return registry.get_sample_value(f"threads_{field}", {"pool": name})

    assert [read(field, "tested") for field in ("limit", "used", "waiting")] == [3, 3, 2]
    assert read("limit", compression_threads.name) == compression_threads.limit
    assert {read("used", name) for name in ("endpoints", "files", "background")} == {0}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_lag_of_the_event_loop_is_observed(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    metrics.start_worker()
    with LoopWatchdog(beat_seconds=0.01):
        await anyio.sleep(0.1)
        threading.Event().wait(0.2)  # blocks the loop
        await anyio.sleep(0.05)
    metrics.stop_worker()

    def bucket(bound: str) -> float:
        return registry.get_sample_value("event_loop_lag_seconds_bucket", {"le": bound}) or 0.0

    assert bucket("+Inf") >= 5
    assert bucket("+Inf") - bucket("0.1") >= 1
    with LoopWatchdog(beat_seconds=0.01):
        count = bucket("+Inf")
        await anyio.sleep(0.05)
        assert bucket("+Inf") == count  # a worker that has stopped measures nothing


@pytest.mark.anyio
async def test_tasks_of_the_application_are_published(
    observe: Observe, registry: CollectorRegistry
) -> None:
    async def endpoint(request: Request) -> Response:
        request.app.tasks.start_soon("sleep", anyio.sleep, 60)
        return PlainTextResponse("started")

    app = App(routes=[Route("/", endpoint)])
    app.tasks.drain_seconds = 0.0
    observed = observe(app)
    async with AsyncTestClient(observed) as client:
        await client.get("/")
        observed.metrics.worker.published.publish()  # type: ignore[attr-defined]
        assert registry.get_sample_value("background_tasks_running") == 1
        assert registry.get_sample_value("background_tasks_waiting") == 0


def test_lines_that_the_log_has_lost_are_counted(
    metrics: HttpMetrics, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_worker_metrics, "count_dropped_lines", lambda: 3)
    metrics.worker.sample()
    metrics.worker.sample()

    assert registry.get_sample_value("log_lines_dropped_total") == 3
