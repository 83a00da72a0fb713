"""The profile `obs` of the compose file on a real engine: Prometheus scrapes, Grafana is given all it shows.

Not collected by the plain test run, as it needs an engine and takes minutes:
`make test ARGS=tests/container/check_observability.py` runs it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.container.engine import Engine, get
from tests.e2e.service import wait_for
from tests.ports import take_ports

pytestmark = pytest.mark.timeout(600)

with take_ports(2) as port:
    GRAFANA, PROMETHEUS = port, port + 1
ENGINE = Engine(
    "slipway-check-obs",
    {"GRAFANA_PORT": str(GRAFANA), "PROMETHEUS_PORT": str(PROMETHEUS), "WEB_CONCURRENCY": "2"},
    profile="obs",
)


@pytest.fixture(scope="module", autouse=True)
def tools() -> Iterator[None]:
    with ENGINE.run():
        yield


def read(port: int, path: str) -> bytes:
    status, body = get(port, path)
    assert status == 200, path
    return body


def ask_prometheus(path: str) -> Any:
    return json.loads(read(PROMETHEUS, f"/api/v1/{path}"))["data"]


def test_prometheus_scrapes_the_service_its_job_workers_and_itself() -> None:
    def list_healthy() -> set[str]:
        targets = ask_prometheus("targets?state=active")["activeTargets"]
        return {each["labels"]["job"] for each in targets if each["health"] == "up"}

    # Targets are looked up every 15 s, and scraped every 15 s from then on.
    healthy = {"web", "worker", "prometheus"}
    wait_for(lambda: list_healthy() == healthy, "all are scraped", patience=60)


def test_prometheus_has_loaded_every_group_of_rules() -> None:
    groups = ask_prometheus("rules")["groups"]

    assert {"objectives", "burn_rates", "budget_alerts", "workers"} <= {g["name"] for g in groups}
    assert {rule["health"] for group in groups for rule in group["rules"]} <= {"ok", "unknown"}


def test_grafana_answers_and_has_read_what_it_is_given() -> None:
    health = json.loads(read(GRAFANA, "/api/health"))

    assert health["database"] == "ok"
    assert health.get("provisioningErrors", []) == []
    assert "Service" in {each["title"] for each in json.loads(read(GRAFANA, "/api/search"))}


def test_the_landing_page_links_to_both() -> None:
    page = read(ENGINE.find_port("web", 8000), "/").decode()

    assert f'href="http://127.0.0.1:{GRAFANA}"' in page
    assert f'href="http://127.0.0.1:{PROMETHEUS}"' in page


@pytest.mark.parametrize(("name", "port"), [("grafana", "3000"), ("prometheus", "9090")])
def test_a_tool_is_shut(name: str, port: str) -> None:
    [found] = json.loads(ENGINE.docker("inspect", ENGINE.find_container(name)))
    published = found["NetworkSettings"]["Ports"]

    assert {each["HostIp"] for each in published[f"{port}/tcp"]} == {"127.0.0.1"}
    assert found["HostConfig"]["ReadonlyRootfs"]
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["SecurityOpt"] == ["no-new-privileges:true"]
