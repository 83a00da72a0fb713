from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Counter

from framework.observability.exporter import MetricsServer, Scraper, start_metrics_server
from tests.framework.observability.harness import LogStream
from tests.framework.observability.workers import environment, start_worker
from tests.ports import find_free_port, take_ports

MODULE = [sys.executable, "-m", "framework.observability.exporter"]

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def run(*options: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*MODULE, "--log-format", "json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(tmp_path), **environ},
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def read_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def get(
    port: int, path: str = "/metrics", host: str = "127.0.0.1", method: str = "GET"
) -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        kind = response.headers["Content-Type"]
        return response.status, kind, response.read().decode()
    finally:
        connection.close()


def test_the_metrics_of_all_workers_are_served(start: Start, tmp_path: Path) -> None:
    port = find_free_port()
    with start_worker(tmp_path, 0) as first, start_worker(tmp_path, 1) as second:
        first.tell("30")
        second.tell("12")
        process = start("--port", str(port))
        line = read_line(process)
        status, kind, text = get(port)

    assert (line["event"], line["url"]) == ("metrics served", f"http://127.0.0.1:{port}/metrics")
    assert status == 200
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    labels = 'method="GET",route="/items/{id}",status="200"'
    assert f"http_requests_total{{{labels}}} 42.0\n" in text
    assert f"http_request_duration_seconds_count{{{labels}}} 42.0\n" in text
    assert "http_requests_in_flight 0.0\n" in text
    assert 'process_worker_resident_memory_bytes{worker_slot="1"}' in text
    assert 'build_info{python="' in text


def test_only_the_metrics_are_served(start: Start) -> None:
    port = find_free_port()
    read_line(start("--port", str(port)))

    assert get(port, "/metrics?name=x")[0] == 200
    assert get(port, "/")[2] == "The metrics are at /metrics\n"
    for path in ("/metricsx", "/metrics/", "/../etc/passwd", "/a\u0020b".replace(" ", "%20")):
        assert get(port, path)[0] == 404
    assert get(port, method="HEAD")[::2] == (200, "")
    assert get(port, method="POST")[0] == 501


def test_an_ipv6_address_is_served(start: Start) -> None:
    port = find_free_port("::1")
    line = read_line(start("--host", "::1", "--port", str(port)))

    assert line["url"] == f"http://[::1]:{port}/metrics"
    assert get(port, host="::1")[0] == 200


def test_it_ends_within_a_second_when_its_parent_is_gone(tmp_path: Path) -> None:
    port = find_free_port()
    parent = f"""
import subprocess, sys, os, signal
process = subprocess.Popen({[*MODULE, "--port", str(port)]!r}, stdout=subprocess.PIPE, text=True)
process.stdout.readline()
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run(
        [sys.executable, "-c", parent],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
        env=environment(tmp_path),
    )
    assert done.returncode == -signal.SIGKILL
    assert is_gone(int(done.stdout), within=1.0)


def is_gone(pid: int, *, within: float) -> bool:
    """Say whether the process ends in time; one that nobody has reaped yet has ended."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    return False


def test_a_termination_signal_ends_it_quietly(start: Start) -> None:
    process = start("--port", str(find_free_port()))
    read_line(process)
    process.terminate()
    rest, _ = process.communicate(timeout=5)
    assert (process.returncode, rest) == (0, "")


def test_a_taken_port_is_one_clear_line(start: Start) -> None:
    with take_ports(1) as port:
        process = start("--port", str(port), "--bind-seconds", "0.3")
        out, _ = process.communicate(timeout=10)

    assert process.returncode == 1
    (line,) = [json.loads(line) for line in out.splitlines()]
    assert line["level"] == "error"
    assert line["port"] == port
    assert "already in use" in line["reason"]


def test_a_port_that_becomes_free_is_taken(start: Start) -> None:
    with take_ports(1) as port:
        process = start("--port", str(port))
        time.sleep(1)
        assert process.poll() is None
    assert read_line(process)["event"] == "metrics served"
    assert get(port)[0] == 200


def test_an_address_that_this_machine_has_not_is_refused_at_once(start: Start) -> None:
    process = start("--host", "192.0.2.1", "--port", str(find_free_port()))
    out, _ = process.communicate(timeout=5)
    assert process.returncode == 1
    assert len(out.splitlines()) == 1


@pytest.mark.parametrize("directory", ["", "/nonexistent"])
def test_a_missing_directory_is_one_clear_line(start: Start, directory: str) -> None:
    process = start("--port", str(find_free_port()), PROMETHEUS_MULTIPROC_DIR=directory)
    out, _ = process.communicate(timeout=10)

    assert process.returncode == 1
    (line,) = [json.loads(line) for line in out.splitlines()]
    assert line["variable"] == "PROMETHEUS_MULTIPROC_DIR"


def test_a_wrong_setting_is_named(start: Start) -> None:
    process = start("--log-level", "LOUD")
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 2
    assert "'LOUD'" in out


class Renderer:
    """Counts how often it is asked; can be made to fail a number of times."""

    def __init__(self, failures: int = 0) -> None:
        self.asked = 0
        self.failures = failures

    def __call__(self) -> bytes:
        self.asked += 1
        if self.asked <= self.failures:
            raise OSError(5, "Input/output error")
        time.sleep(0.05)
        return b""


def test_many_scrapers_cost_as_much_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    render = Renderer()
    scraper = Scraper(render)
    threads = [threading.Thread(target=scraper.scrape) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert render.asked == 1

    monkeypatch.setattr("framework.observability.exporter.SCRAPE_CACHE_SECONDS", 0.0)
    scraper.scrape()
    assert render.asked == 2


def test_metrics_that_cannot_be_read_are_a_503_and_an_event(log: LogStream) -> None:
    render = Renderer(failures=1)
    server = MetricsServer("127.0.0.1", 0, render)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert get(server.server_address[1])[0] == 503
        assert get(server.server_address[1])[0] == 200
    finally:
        server.shutdown()
        server.server_close()
    assert len(log.named("metrics not readable")) == 1


def test_a_scraper_that_leaves_is_nothing_and_a_fault_of_ours_is_logged(log: LogStream) -> None:
    server = MetricsServer("127.0.0.1", 0, Renderer())
    try:
        for error in (ConnectionResetError(), TimeoutError(), LookupError("ours")):
            try:
                raise error
            except Exception:
                server.handle_error(None, ("192.0.2.7", 1))
    finally:
        server.server_close()
    (line,) = log.lines()
    assert (line["event"], line["client"]) == ("scrape failed", "192.0.2.7")


def test_a_service_of_one_process_serves_its_own_metrics() -> None:
    Counter("tested_total", "Served from the same process.").inc()
    server = start_metrics_server("127.0.0.1", 0)
    try:
        assert "tested_total 1.0\n" in get(server.server_address[1])[2]
    finally:
        server.shutdown()
        server.server_close()
