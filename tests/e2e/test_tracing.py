"""The service with a collector: spans of every worker, and log lines with their ids."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import DEFAULT_SERVICE_NAME
from tests.e2e.collector import Collector
from tests.e2e.service import GUNICORN, ROOT, Service, wait_for
from tests.e2e.test_jobs import run_site

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"


def get(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_span_of_each_request_reaches_the_collector_and_the_log_has_its_ids(
    tmp_path: Path,
) -> None:
    with Collector() as collector:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=test",
        }
        with Service(tmp_path, GUNICORN, env) as service:
            service.wait_until_up()
            parent = f"00-{TRACE_ID}-{PARENT_ID}-01"
            assert get(service.port, "/hello/world?token=secret", traceparent=parent) == 200
            assert get(service.port, "/hello/moon") == 200
            wait_for(lambda: len(collector.spans) == 2, "two spans")
            assert get(service.port, "/hello/last") == 200
            service.signal(signal.SIGTERM)
            assert service.wait() == 0
            lines = {e["path"]: e for e in service.events if e["event"] == "request"}
        # What was not sent yet was sent in the shutdown.
        spans = {span.span_id.hex(): span for span in collector.spans}

    assert len(spans) == 3
    assert {span.name for span in spans.values()} == {"GET /hello/{name}"}
    parents = {}
    for path in ("/hello/world", "/hello/moon", "/hello/last"):
        span = spans[lines[path]["span_id"]]
        assert lines[path]["trace_id"] == span.trace_id.hex()
        parents[path] = span.parent_span_id.hex()
    assert lines["/hello/world"]["trace_id"] == TRACE_ID
    assert parents == {"/hello/world": PARENT_ID, "/hello/moon": "", "/hello/last": ""}
    assert "secret" not in str(spans)
    resource = collector.resources[0]
    assert resource["service.name"] == DEFAULT_SERVICE_NAME
    assert resource["deployment.environment"] == "test"
    assert resource["worker.slot"] in {"0", "1"}


def test_the_database_and_outgoing_requests_have_spans_below_that_of_the_request(
    tmp_path: Path,
) -> None:
    with Collector() as collector:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with Service(tmp_path, (*GUNICORN, "tests.e2e.traced:app"), env) as service:
            service.wait_until_up()
            assert get(service.port, "/ask") == 200
            wait_for(lambda: len(collector.spans) >= 4, "four spans")
            service.signal(signal.SIGTERM)
            assert service.wait() == 0
        spans = {span.name: span for span in collector.spans}

    assert set(spans) == {"GET /ask", "SELECT", "GET", "GET /told"}
    parents = {name: span.parent_span_id for name, span in spans.items()}
    assert parents == {
        "GET /ask": b"",
        "SELECT": spans["GET /ask"].span_id,
        "GET": spans["GET /ask"].span_id,
        "GET /told": spans["GET"].span_id,
    }


def test_a_collector_that_is_away_disturbs_nobody(tmp_path: Path) -> None:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "WEB_CONCURRENCY": "1",
    }
    with Service(tmp_path, GUNICORN, env) as service:
        service.wait_until_up()
        assert all(get(service.port, "/version") == 200 for _ in range(20))
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert service.events  # each line is JSON, the complaints of the exporter, too


def test_without_a_collector_nothing_of_opentelemetry_is_loaded() -> None:
    code = "import sys, app.main; print([m for m in sys.modules if 'opentelemetry' in m])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.timeout(60)
def test_a_job_worker_sends_the_spans_of_its_jobs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.sqlite'}"
    with Collector() as collector, run_site(tmp_path, url) as site:
        worker = site.work("deploy.worker", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        worker.wait_until_up()
        job_id = site.start("count?total=2")
        site.wait_for_end(job_id)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(20) == 0
        spans = collector.spans
        assert worker.events  # each line is JSON

    [job] = [span for span in spans if span.name == "count"]
    steps = [span for span in spans if span.name.endswith("take_step")]
    assert {span.trace_id for span in steps} == {job.trace_id}
    assert len(steps) == 2
    assert collector.resources[0]["service.name"] == DEFAULT_SERVICE_NAME


SPY = """
class Spy:
    def instrument(self, **options):
        print("instrumented", sorted(options))
    def uninstrument(self):
        print("uninstrumented")
"""

ENTRY_POINTS = """[opentelemetry_instrumentor]
sqlalchemy = spy:Spy
redis = spy:Spy
fastapi = spy:Missing
"""


def test_official_instrumentations_that_are_installed_are_used(tmp_path: Path) -> None:
    (tmp_path / "spy.py").write_text(SPY)
    info = tmp_path / "spy-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: spy\nVersion: 1\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    code = """
import anyio
from framework.observability.telemetry import send_spans
async def main():
    async with send_spans("spied"):
        print("running")
anyio.run(main)
"""
    env = {
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "redis, httpx",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [
        "instrumented ['tracer_provider']",
        "running",
        "uninstrumented",
    ]
