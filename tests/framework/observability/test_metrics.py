from __future__ import annotations

import platform
import re
import threading

import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest

from framework.observability import _worker_metrics as module
from framework.observability._limits import MAX_EXCEPTION_TYPES, MAX_LABEL_SETS
from framework.observability.metrics import (
    OVERFLOW,
    Counter,
    Gauge,
    Histogram,
    HttpMetrics,
    http_metrics,
    mark_dead,
    set_build_info,
)
from tests.framework.observability.harness import LogStream


@pytest.fixture
def metrics(registry: CollectorRegistry) -> HttpMetrics:
    return HttpMetrics(registry)


def count(registry: CollectorRegistry, method: str, route: str, status: str) -> float | None:
    labels = {"method": method, "route": route, "status": status}
    return registry.get_sample_value("http_requests_total", labels)


def read_folded(metric: str) -> float:
    return REGISTRY.get_sample_value("metrics_folded_total", {"metric": metric}) or 0.0


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
    assert len(metrics._series) == 1


def test_label_sets_are_bounded_and_the_rest_is_counted_together(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    folded = read_folded("http_requests")
    for number in range(MAX_LABEL_SETS + 500):
        metrics.end("GET", f"/{number}", 200, 0.1)
    metrics.end("GET", "/another", 503, 0.1)
    metrics.end("GET", "/0", 200, 0.1)

    assert count(registry, "GET", "/0", "200") == 2
    assert count(registry, "OTHER", "__overflow__", "2xx") == 500
    assert count(registry, "OTHER", "__overflow__", "5xx") == 1
    assert read_folded("http_requests") - folded == 501
    text = generate_latest(registry).decode()
    assert len(re.findall("^http_requests_total{", text, re.MULTILINE)) == MAX_LABEL_SETS + 2


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
    metrics.worker.sample()

    slot = {"worker_slot": "0"}
    assert registry.get_sample_value("process_worker_open_fds", slot) is None
    assert registry.get_sample_value("process_worker_resident_memory_bytes", slot)


def test_bytes_of_both_bodies_are_counted(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    metrics.end("POST", "/", 201, 0.1, 1000, 20)
    metrics.end("POST", "/", 201, 0.1, 500)

    labels = {"method": "POST", "route": "/", "status": "201"}
    assert registry.get_sample_value("http_request_body_bytes_total", labels) == 1500
    assert registry.get_sample_value("http_response_body_bytes_total", labels) == 20


def test_requests_that_the_client_has_left_are_counted_apart(
    metrics: HttpMetrics, registry: CollectorRegistry
) -> None:
    for status in (200, 499, 499, 500):
        metrics.end("GET", "/", status, 0.1)

    labels = {"method": "GET", "route": "/"}
    assert registry.get_sample_value("http_requests_aborted_total", labels) == 2
    assert count(registry, "GET", "/", "499") == 2


def test_types_of_exceptions_are_bounded(metrics: HttpMetrics, registry: CollectorRegistry) -> None:
    for number in range(MAX_EXCEPTION_TYPES + 5):
        metrics.count_exception(type(f"Error{number}", (Exception,), {})())
    metrics.count_exception(type("Error0", (Exception,), {})())

    def read(name: str) -> float | None:
        return registry.get_sample_value("unhandled_exceptions_total", {"exception": name})

    assert (read("Error0"), read("Error1"), read(OVERFLOW)) == (2, 1, 5)


def test_a_gauge_without_a_mode_is_refused(registry: CollectorRegistry) -> None:
    with pytest.raises(ValueError, match=r"'things' has no multiprocess_mode: .* 'livesum' adds"):
        Gauge("things", "Things.", registry=registry)
    with pytest.raises(TypeError, match=r"'rooms' cannot ask a function: .*publish_statistics"):
        Gauge("rooms", "Rooms.", multiprocess_mode="livesum", registry=registry).set_function(
            lambda: 1.0
        )


def test_label_sets_of_a_metric_of_ones_own_are_bounded(registry: CollectorRegistry) -> None:
    words = Counter("words_total", "Words.", ("word", "language"), registry=registry)
    sizes = Histogram("sizes_bytes", "Sizes.", ("kind",), buckets=(1, 2), registry=registry)
    rooms = Gauge("rooms", "Rooms.", ("name",), multiprocess_mode="livesum", registry=registry)
    for number in range(MAX_LABEL_SETS + 10):
        words.labels(f"w{number}", "en").inc()
        words.labels(language="en", word=f"w{number}").inc()
        sizes.labels(number).observe(1)
        rooms.labels(name=number).inc()

    value = registry.get_sample_value
    assert value("words_total", {"word": "w0", "language": "en"}) == 2
    assert value("words_total", {"word": OVERFLOW, "language": OVERFLOW}) == 20
    assert value("sizes_bytes_count", {"kind": OVERFLOW}) == 10
    assert value("rooms", {"name": OVERFLOW}) == 10
    assert read_folded("words") == 20
    assert read_folded("rooms") == 10


def test_a_label_set_that_is_wrong_is_an_error_of_the_caller(registry: CollectorRegistry) -> None:
    words = Counter("words_total", "Words.", ("word",), registry=registry)
    with pytest.raises(
        ValueError, match=r"'words' has the labels \('word',\): Incorrect label count"
    ):
        words.labels("a", "b")
    with pytest.raises(ValueError, match="already has labels"):
        words.labels("a").labels("b")


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
    http_metrics().worker.sample()
    value = REGISTRY.get_sample_value("process_worker_resident_memory_bytes", {"worker_slot": "0"})
    assert value


def test_build_info_tells_what_runs() -> None:
    set_build_info(version="1.2.3", revision="abc1234")
    labels = {"version": "1.2.3", "revision": "abc1234", "python": platform.python_version()}
    assert REGISTRY.get_sample_value("build_info", labels) == 1


def test_without_a_directory_there_is_nothing_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    mark_dead(0)
