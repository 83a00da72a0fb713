"""Metrics of a real service: exact totals, whatever becomes of its workers."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.service import GUNICORN, Service, wait_for
from tests.framework.observability.promtool import check_exposition
from tests.framework.observability.workers import read_samples, render

OBSERVED = (*GUNICORN, "tests.e2e.observed:app")
CLIENTS = 4

# Workers that end while they are under load: most are killed, in bursts, the others replaced.
RECYCLES = int(os.environ.get("RECYCLES", "200"))
WORKERS = 4
BURST = 30

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path, OBSERVED) as running:
        running.wait_until_up()
        wait_for(lambda: running.count("metrics served") == 1, "the exporter serves")
        yield running


def scrape(service: Service) -> Samples:
    status, text = service.get("/metrics", port=service.metrics_port)
    assert status == 200
    return read_samples(text.decode())


def add_up(samples: Samples, metric: str, /, **labels: str) -> float:
    wanted = labels.items()
    return sum(
        value for (found, have), value in samples.items() if found == metric and wanted <= set(have)
    )


class Load:
    """Clients that ask over connections that they keep, and count what becomes of each request."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = False
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]
        self.answered = [0] * CLIENTS
        self.failed = [0] * CLIENTS
        self.pids = [0] * CLIENTS
        """The workers that have answered last."""

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        number = self._threads.index(threading.current_thread())
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._is_over:
            try:
                connection.request("GET", f"/items/{random.getrandbits(32)}")
                self.pids[number] = int(connection.getresponse().read())
            except (OSError, http.client.HTTPException):
                self.failed[number] += 1
                connection.close()
            else:
                self.answered[number] += 1
            time.sleep(0.001)
        connection.close()


class Watch:
    """Scrapes again and again, and notes each number that goes back."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.backwards: list[str] = []
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        before: Samples = {}
        while not self._is_over.wait(0.3):
            now = scrape(self._service)
            self.looks += 1
            for key, value in before.items():
                grows = key[0].endswith(("_total", "_bucket", "_count", "_sum"))
                if grows and now.get(key, -1.0) < value:
                    self.backwards.append(f"{key}: {value} -> {now.get(key)}")
            before = now


@pytest.mark.timeout(60 + RECYCLES)
def test_totals_are_exact_while_workers_are_killed_and_replaced_under_load(tmp_path: Path) -> None:
    env = {
        "WEB_CONCURRENCY": str(WORKERS),
        "MAX_REQUESTS": "100",
        "MAX_REQUESTS_JITTER": "100",
        "DRAIN_SECONDS": "0",
    }
    with Service(tmp_path, OBSERVED, env) as service:
        service.wait_until_up()
        wait_for(lambda: service.count("metrics served") == 1, "the exporter serves")
        files = kills = 0
        with Load(service.port) as load, Watch(service) as watch:
            wait_for(lambda: all(load.pids), "every client has an answer")
            while count_exits(service) < RECYCLES:
                kills += kill_some(load)
                files = max(files, len(list(service.run_directory.glob("*.db"))))
                ended = count_exits(service, reason="recycled")
                wait_for(lambda ended=ended: count_exits(service, reason="recycled") > ended, "one")  # type: ignore[misc]
        running = {WORKERS, WORKERS + 1}
        wait_for(lambda: count_workers(service) in running, "all is as it should be")
        time.sleep(1.1)  # a scrape is kept for a second
        samples = scrape(service)
        slots = {re.split(r"[_.]", path.name)[-2] for path in service.run_directory.glob("*.db")}

    assert watch.backwards == []
    assert watch.looks > RECYCLES / 10
    answered, failed = sum(load.answered), sum(load.failed)
    counted = add_up(samples, "http_requests_total", route="/items/{id}", status="200")
    # Each answer that a client has got is counted. One that a kill has kept back may be, too: it is
    # counted before it is sent, and nothing can do both at once.
    assert answered <= counted <= answered + failed
    assert failed <= kills * CLIENTS
    # A kill may hit between two numbers of one request.
    durations = add_up(samples, "http_request_duration_seconds_count")
    assert counted - kills <= durations <= counted
    assert add_up(samples, "http_requests_in_flight") == 0
    assert add_up(samples, "worker_exits_total") >= RECYCLES
    assert add_up(samples, "worker_exits_total", reason="recycled") >= RECYCLES / BURST / 2
    assert add_up(samples, "worker_exits_total", reason="killed") >= RECYCLES / 2
    # The workers, one that comes while another goes, one more that has not gone yet; and the master.
    assert slots <= {*map(str, range(WORKERS + 2)), "master0"}
    assert files <= 5 * len(slots)


def kill_some(load: Load) -> int:
    """Kill workers one after the other, each while it answers; return how many."""
    kills = 0
    for _ in range(BURST):
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(load.pids), signal.SIGKILL)
            kills += 1
        time.sleep(0.04)
    return kills


def count_exits(service: Service, **labels: str) -> float:
    return add_up(read_samples(render(service.run_directory)), "worker_exits_total", **labels)


def count_workers(service: Service) -> float:
    samples = read_samples(render(service.run_directory))
    return add_up(samples, "worker_starts_total") - add_up(samples, "worker_exits_total")


def test_without_a_kill_totals_are_those_of_the_load_to_the_last_request(
    service: Service,
) -> None:
    with Load(service.port) as load:
        service.signal(signal.SIGHUP)
        wait_for(lambda: service.count("Finished server process") == 2, "the reload is over")
    time.sleep(1.1)
    samples = scrape(service)
    assert sum(load.failed) == 0
    assert add_up(samples, "http_requests_total") == sum(load.answered)
    assert add_up(samples, "http_response_body_bytes_total") > sum(load.answered)
    assert add_up(samples, "worker_exits_total", reason="replaced") == 2
    assert add_up(samples, "worker_starts_total") == 4


def test_what_the_server_refuses_is_counted_by_status(service: Service) -> None:
    long_line = b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n"
    for line in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", long_line):
        with socket.create_connection(("127.0.0.1", service.port), timeout=5) as client:
            client.sendall(line)
            with contextlib.suppress(OSError):
                while client.recv(65536):
                    pass
    time.sleep(1.1)
    samples = scrape(service)
    assert add_up(samples, "http_refused_requests_total", status="400") == 2
    assert add_up(samples, "http_refused_requests_total", status="414") == 1
    assert add_up(samples, "http_requests_total") == 0


def test_promtool_accepts_what_a_service_shows(service: Service) -> None:
    assert service.get("/items/7")[0] == 200
    assert service.get("/nowhere")[0] == 404
    time.sleep(1.1)
    text = service.get("/metrics", port=service.metrics_port)[1].decode()
    check_exposition(text)
    samples = read_samples(text)
    for slot in ("0", "1"):
        assert add_up(samples, "process_worker_cpu_seconds_total", worker_slot=slot) > 0
        assert add_up(samples, "process_worker_start_time_seconds", worker_slot=slot) > 1e9
    assert add_up(samples, "background_tasks_running") == 0
    assert ("gc_collections_total", frozenset({("generation", "2")})) in samples
    assert add_up(samples, "threads_limit", pool="endpoints") > 0
