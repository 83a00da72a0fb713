"""A real service, observed by a real Prometheus: every panel has data, and faults raise alerts."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from websockets.sync.client import connect

from app.jobs.metrics import WorkerPlace
from tests.deploy.prometheus import RULES, Prometheus, read_rules
from tests.deploy.test_dashboard import BOARD, list_queries
from tests.e2e.service import GUNICORN, Service, wait_for
from tests.e2e.test_jobs import Worker
from tests.ports import find_free_port

pytestmark = pytest.mark.timeout(60)

JOB, WORKERS_JOB = "renamed-by-a-fork", "so-are-its-workers"
FAULTY = (*GUNICORN, "tests.deploy.faulty_service:app")
ROUNDS = 3

# Its output goes through a pipe, whose reader can be stopped.
SCRIPT = f"""
cd "$SAMPLE_FOLDER" && mkfifo pipe && (cat pipe & echo $! > reader) && cd "$OLDPWD" || exit 1
exec {shlex.join(FAULTY)} > "$SAMPLE_FOLDER/pipe" 2>&1
"""
PIPED = ("sh", "-c", SCRIPT)

# Raised in tests/deploy/rules only: they take a CPU that nobody else uses, and six workers that die.
NOT_DRILLED = {"WorkerBusy", "JobsGivenUp"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with start(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def worker_port(service: Service) -> Iterator[int]:
    """Where a job worker of the service shows its metrics."""
    with work(service) as port:
        yield port


@contextlib.contextmanager
def work(service: Service) -> Iterator[int]:
    """Run a job worker of the service; return the port of its metrics."""
    url, port = build_url(service.folder), find_free_port()
    env = {"JOBS_METRICS_PORT": str(port)}
    worker = Worker(service.folder, url, "deploy.worker", env)
    try:
        wait_for(lambda: worker.named("metrics served"), "the worker serves")
        yield port
    finally:
        worker.kill()
        shutil.rmtree(WorkerPlace(url, host="", port=0).folder, ignore_errors=True)


@pytest.fixture(scope="module")
def prometheus(
    service: Service, worker_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    targets = {JOB: service.metrics_port, WORKERS_JOB: worker_port}
    with Prometheus(folder, targets, RULES) as running:
        for _ in range(ROUNDS):
            use(service)
            time.sleep(1.2)  # a scrape is kept for a second
        yield running


def build_url(folder: Path) -> str:
    return f"sqlite:///{folder}/jobs.sqlite"


def start(
    folder: Path, command: tuple[str, ...] = FAULTY, env: Mapping[str, str] | None = None
) -> Service:
    service = Service(folder, command, {"DEMO": "1", "JOBS_URL": build_url(folder), **(env or {})})
    try:
        service.wait_until_up()
        wait_for(lambda: service.count("metrics served") == 1, "the exporter serves")
    except BaseException:
        service.__exit__(None, None, None)
        raise
    return service


def use(service: Service) -> None:
    """Do everything once that the dashboard has a number for."""
    answers = [service.get(path)[0] for path in ("/hello/Ada", "/nowhere", "/fail", "/remind")]
    assert answers == [200, 404, 500, 200]
    assert service.get("/fold")[0] == 200
    begin_job(service)
    with connect(f"ws://127.0.0.1:{service.port}/live/counter") as websocket:
        websocket.recv(timeout=5)
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as client:
        client.sendall(b"nonsense\r\n\r\n")
        client.recv(1000)
    with socket.create_connection(("127.0.0.1", service.port), timeout=5) as client:
        client.sendall(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.1)


def begin_job(service: Service) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=10)
    try:
        connection.request("POST", "/live/jobs")
        assert connection.getresponse().status == 202
    finally:
        connection.close()


def fill_in(expression: str, prometheus: Prometheus) -> str:
    """Put in what Grafana does when everything is chosen one by one: the alternatives, quoted."""
    filled = expression.replace("$__rate_interval", "1m")
    for variable in BOARD["templating"]["list"]:
        name = f"${variable['name']}"
        if name in filled:
            values = list_values(variable, prometheus)
            chosen = "|".join(re.escape(value).replace("\\", "\\\\") for value in values)
            filled = filled.replace(name, f"({chosen})")
    return filled


def list_values(variable: dict[str, Any], prometheus: Prometheus) -> list[str]:
    """Ask as Grafana does for the values of a variable, which may depend on other variables."""
    query = fill_in(variable["query"]["query"], prometheus)
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert found, query
    wait_for(lambda: prometheus.list_label_values(found[2], found[1]), f"{query} has values")
    return prometheus.list_label_values(found[2], found[1])


def test_the_variables_offer_what_there_is(
    service: Service, worker_port: int, prometheus: Prometheus
) -> None:
    offered = {
        variable["name"]: list_values(variable, prometheus)
        for variable in BOARD["templating"]["list"]
        if variable["type"] == "query"
    }

    assert offered["job"] == [JOB, WORKERS_JOB]
    instances = {f"127.0.0.1:{port}" for port in (service.metrics_port, worker_port)}
    assert set(offered["instance"]) == instances
    assert {"/hello/{name}", "/fail", "__unmatched__"} <= set(offered["route"])
    assert not {"/nowhere", "/hello/Ada"} & set(offered["route"])


@pytest.mark.parametrize(("title", "expression"), list_queries())
def test_every_query_of_the_dashboard_has_data(
    prometheus: Prometheus, title: str, expression: str
) -> None:
    query = fill_in(expression, prometheus)

    wait_for(lambda: prometheus.query(query), f"{title}: {query} has data")


def test_every_metric_of_the_rules_is_there(prometheus: Prometheus) -> None:
    """An alert on a name that nobody writes is silent for ever."""
    expressions = " ".join(rule["expr"] for rule in read_rules())
    without_labels = re.sub(r"\{.*?\}", "", expressions)
    names = set(re.findall(r"\b[a-z]+_[a-z_]+\b(?![(:])", without_labels)) - {"group_left"}
    assert {"worker_exits_total", "event_loop_lag_seconds_bucket"} <= names

    for name in names:
        wait_for(lambda name=name: prometheus.query(name), f"{name} is there")  # type: ignore[misc]


@pytest.mark.timeout(90)
def test_faults_raise_alerts_and_a_healthy_service_none(tmp_path: Path) -> None:
    with (
        start(tmp_path, PIPED, {"MAX_IN_FLIGHT": "10"}) as service,
        work(service) as worker_port,
        watch(tmp_path, service, worker_port) as prometheus,
    ):
        for _ in range(50):
            assert service.get("/hello/Ada")[0] == 200
        time.sleep(2)
        # Without the patience that rules have, a machine that stands still for a moment raises these.
        assert prometheus.firing().keys() <= {"EventLoopLagging", "TargetDown"}
        wait_for(lambda: prometheus.firing() == {}, "nothing fires")

        told = wait_for_alerts(prometheus, fail, service)
        burning = (
            'ALERTS{alertname="ErrorBudgetBurnsFast", slo="availability", alertstate="firing"}'
        )
        wait_for(lambda: prometheus.query(burning), "it names what it is about")
        told |= wait_for_alerts(prometheus, lose_things, service)
        told |= wait_for_alerts(prometheus, overload, service)
        told |= wait_for_alerts(prometheus, break_workers, service)
        assert prometheus.query('ALERTS{alertname="WorkerDied", reason="killed"}')
        told |= wait_for_alerts(prometheus, end, service)

    assert told == {rule["alert"] for rule in read_rules() if "alert" in rule} - NOT_DRILLED


def wait_for_alerts(
    prometheus: Prometheus, cause: Callable[[Service], set[str]], service: Service
) -> set[str]:
    """Cause a fault and wait until the alerts fire that it has to raise."""
    alerts = cause(service)
    wait_for(lambda: alerts <= prometheus.firing().keys(), f"{sorted(alerts)} fire")
    return alerts


def fail(service: Service) -> set[str]:
    for _ in range(3):
        assert {service.get("/fail")[0] for _ in range(30)} == {500}
        time.sleep(1)  # a scrape is kept for a second, and two of them show an increase
    return {"ErrorBudgetBurnsFast", "ErrorBudgetBurns"}


def lose_things(service: Service) -> set[str]:
    """Block event loops, and lose log lines, series, tasks and jobs."""
    reader = int((service.folder / "reader").read_text())
    os.kill(reader, signal.SIGSTOP)
    try:
        for seconds in (1.5, *[0.3] * 9):
            assert service.get(f"/block?seconds={seconds}")[0] == 200
        for path in ("/shout", "/fold", "/forget", "/hopeless"):
            assert service.get(path)[0] == 200
    finally:
        os.kill(reader, signal.SIGCONT)
    return {
        *("EventLoopBlocked", "EventLoopLagging", "LogLinesDropped", "SeriesFolded"),
        *("BackgroundTasksFailing", "JobsFailing"),
    }


def overload(service: Service) -> set[str]:
    """Send more at once than two workers let in and their threads can do."""
    with ThreadPoolExecutor(30) as clients:
        answers = list(clients.map(service.get, ["/queue"] * 30))
    assert {status for status, _ in answers} == {200, 503}
    return {"RequestsRejected", "ThreadsExhausted"}


def break_workers(service: Service) -> set[str]:
    """Kill the workers; those in their place do not start."""
    (service.folder / "broken").touch()
    for number in range(2):
        os.kill(json.loads(service.get("/worker")[1])["pid"], signal.SIGKILL)
        wait_for(lambda count=number: service.count("SIGKILL") > count, "it is noticed")  # type: ignore[misc]
    return {"WorkerDied", "WorkersCrashing", "NoWorkers"}


def end(service: Service) -> set[str]:
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    return {"TargetDown", "ServiceGone"}


def watch(folder: Path, service: Service, worker_port: int) -> Prometheus:
    """Watch with the shipped rules, but nothing has to last for minutes before it is told."""
    shortened = []
    for path in RULES:
        rules = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in rules["groups"]:
            for rule in group["rules"]:
                if "alert" in rule:
                    rule["for"] = "0s"
                    rule["expr"] = rule["expr"].replace(
                        "min_over_time(threads_waiting[5m])", "threads_waiting"
                    )
        copy = folder / path.name
        copy.write_text(yaml.safe_dump(rules), encoding="utf-8")
        shortened.append(copy)
    targets = {JOB: service.metrics_port, WORKERS_JOB: worker_port}
    return Prometheus(folder, targets, shortened)
