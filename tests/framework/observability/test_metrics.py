from __future__ import annotations

import platform
import re
import threading

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from framework.observability import metrics as module
from framework.observability._limits import MAX_LABEL_SETS
from framework.observability.metrics import HttpMetrics, http_metrics, mark_dead, set_build_info
from tests.framework.observability.harness import LogStream


@pytest.fixture
def metrics(registry: CollectorRegistry) -> HttpMetrics:
    return HttpMetrics(registry)


def count(registry: CollectorRegistry, method: str, route: str, status: str) -> float | None:
    labels = {"method": method, "route": route, "status": status}
    return registry.get_sample_value("http_requests_total", labels)


def test_durations_fall_into_buckets(metrics: HttpMetrics, registry: CollectorRegistry) -> None:
    for seconds in (0.0001, 0.0003, 0.004, 60.0):
        metrics.begin()
        metrics.end("GET", "/", 200, seconds)

    def bucket(bound: str) -> float | None:
        labels = {"method": "GET", "route": "/", "status": "200", "le": bound}
        return registry.get_sample_value("http_request_duration_seconds_bucket", labels)

    assert [bucket(bound) for bound in ("0.00025", "0.0005", "0.005", "10.0", "+Inf")] == [
        1,
        2,
        3,
        3,
        4,
    ]
    labels = {"method": "GET", "route": "/", "status": "200"}
    total = registry.get_sample_value("http_request_duration_seconds_sum", labels)
    assert total == pytest.approx(60.0044)


@pytest.mark.parametrize("method", ["get", "FOO", "PROPFIND", "", "GET\n", "x" * 1000])
def test_methods_outside_the_known_set_share_a_label(
    metrics: HttpMetrics, registry: CollectorRegistry, method: str
) -> None:
    metrics.end(method, "/", 405, 0.1)
    assert count(registry, "OTHER", "/", "405") == 1


def test_any_number_of_methods_needs_no_memory(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    metrics.end("M", "/", 405, 0.1)
    series = generate_latest(registry).count(b"\n")
    for number in range(10_000):
        metrics.end(f"M{number}", "/", 405, 0.1)

    assert count(registry, "OTHER", "/", "405") == 10_001
    assert generate_latest(registry).count(b"\n") == series
    assert len(metrics._series) == 0


def test_label_sets_are_bounded_and_the_rest_is_counted_together(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    for number in range(MAX_LABEL_SETS + 500):
        metrics.end("GET", f"/{number}", 200, 0.1)
    metrics.end("GET", "/another", 503, 0.1)
    metrics.end("GET", "/0", 200, 0.1)

    assert count(registry, "GET", "/0", "200") == 2
    assert count(registry, "OTHER", "__overflow__", "2xx") == 500
    assert count(registry, "OTHER", "__overflow__", "5xx") == 1
    text = generate_latest(registry).decode()
    assert len(re.findall("^http_requests_total{", text, re.MULTILINE)) == MAX_LABEL_SETS + 2


def test_a_metrics_directory_that_is_full_does_not_fail_requests(
    metrics: HttpMetrics,
    registry: CollectorRegistry,
    log: LogStream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(metrics._durations, "labels", refuse)
    for _ in range(3):
        metrics.begin()
        metrics.end("GET", "/", 200, 0.1)

    (line,) = log.lines()
    assert (line["level"], line["event"]) == ("warning", "metrics not written")
    assert registry.get_sample_value("http_requests_in_flight") == 0


def test_measuring_ends_when_it_cannot_be_written(
    metrics: HttpMetrics, log: LogStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "read_resident_bytes", refuse)
    metrics.start_worker()
    for thread in threading.enumerate():
        if thread.name == "worker-metrics":
            thread.join(5)

    assert [line["event"] for line in log.lines()] == ["worker metrics not written"]


def test_a_system_without_a_list_of_descriptors_has_no_such_series(
    metrics: HttpMetrics, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "count_open_fds", lambda: None)
    metrics.sample_worker()

    slot = {"worker_slot": "0"}
    assert registry.get_sample_value("process_worker_open_fds", slot) is None
    assert registry.get_sample_value("process_worker_resident_memory_bytes", slot)


def test_a_worker_starts_with_nothing_in_flight(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    metrics.begin()  # left by a process that was killed
    metrics.start_worker()
    metrics.stop_worker()
    metrics.stop_worker()
    assert registry.get_sample_value("http_requests_in_flight") == 0


def test_the_metrics_of_the_process_are_one_object_in_the_default_registry() -> None:
    assert http_metrics() is http_metrics()
    http_metrics().sample_worker()
    value = REGISTRY.get_sample_value("process_worker_resident_memory_bytes", {"worker_slot": "0"})
    assert value


def test_build_info_tells_what_runs() -> None:
    set_build_info(version="1.2.3", revision="abc1234")
    labels = {"version": "1.2.3", "revision": "abc1234", "python": platform.python_version()}
    assert REGISTRY.get_sample_value("slipway_build_info", labels) == 1


def test_without_a_directory_there_is_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    mark_dead(0)
