"""The profile `obs` of the compose file on a real engine: Prometheus scrapes, Grafana is given all it shows.

Not collected by the plain test run, as it needs an engine and takes minutes:
`make test ARGS=tests/container/check_observability.py` runs it.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import find_free_port, wait_for

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
PROJECT = f"slipway-check-obs-{os.getpid()}"
GRAFANA, PROMETHEUS = find_free_port(), find_free_port()
ENVIRONMENT = os.environ | {
    "COMPOSE_PROFILES": "obs",
    "IMAGE": PROJECT,
    "PORT": "0",  # any free port of this machine
    "METRICS_PORT": "0",
    "GRAFANA_PORT": str(GRAFANA),
    "PROMETHEUS_PORT": str(PROMETHEUS),
    "WEB_CONCURRENCY": "2",
}


def docker(*arguments: str, timeout: float = 120) -> str:
    """Run one docker command and return what it printed; a failure shows all of its output."""
    done = subprocess.run(
        ["docker", *arguments],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"{arguments} ended with:\n{done.stdout}{done.stderr}"
    return done.stdout


def compose(*arguments: str) -> str:
    return docker("compose", "--project-name", PROJECT, *arguments, timeout=500)


@pytest.fixture(scope="module", autouse=True)
def tools() -> Iterator[None]:
    """Start everything from nothing, as a person would."""
    try:
        docker("version", timeout=20)
    except (AssertionError, FileNotFoundError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"no Docker engine answers: {error}")
    try:
        try:
            compose("up", "--build", "--detach", "--wait", "--wait-timeout", "180")
        except AssertionError as error:
            pytest.fail(f"{error}\n{compose('logs')}")
        yield
    finally:
        compose("down", "--volumes", "--rmi", "local")


def get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200, path
        return response.read()
    finally:
        connection.close()


def ask_prometheus(path: str) -> Any:
    return json.loads(get(PROMETHEUS, f"/api/v1/{path}"))["data"]


def test_prometheus_scrapes_the_service_and_itself() -> None:
    def list_healthy() -> set[str]:
        targets = ask_prometheus("targets?state=active")["activeTargets"]
        return {each["labels"]["job"] for each in targets if each["health"] == "up"}

    # Targets are looked up every 15 s, and scraped every 15 s from then on.
    healthy = {"web", "prometheus"}
    wait_for(lambda: list_healthy() == healthy, "both are scraped", patience=60)


def test_prometheus_has_loaded_every_group_of_rules() -> None:
    groups = ask_prometheus("rules")["groups"]

    assert {"objectives", "burn_rates", "budget_alerts", "workers"} <= {g["name"] for g in groups}
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}


def test_grafana_answers_and_has_read_what_it_is_given() -> None:
    health = json.loads(get(GRAFANA, "/api/health"))

    assert health["database"] == "ok"
    assert health.get("provisioningErrors", []) == []
    assert "Service" in {each["title"] for each in json.loads(get(GRAFANA, "/api/search"))}


def test_the_landing_page_links_to_both() -> None:
    port = int(compose("port", "web", "8000").rpartition(":")[2])
    page = get(port, "/").decode()

    assert f'href="http://127.0.0.1:{GRAFANA}"' in page
    assert f'href="http://127.0.0.1:{PROMETHEUS}"' in page


@pytest.mark.parametrize(("name", "port"), [("grafana", "3000"), ("prometheus", "9090")])
def test_a_tool_is_shut(name: str, port: str) -> None:
    [found] = json.loads(docker("inspect", compose("ps", "--quiet", name).strip()))
    published = found["NetworkSettings"]["Ports"]

    assert {each["HostIp"] for each in published[f"{port}/tcp"]} == {"127.0.0.1"}
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
