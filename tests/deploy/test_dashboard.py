"""The dashboard: what Grafana needs to show it, and what keeps it true in a renamed service."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus import read_rules

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboards/service.json").read_text(encoding="utf-8"))
ROWS = {
    "Traffic",
    "Errors",
    "Latency",
    "Latency by route",
    "Saturation",
    "Workers and event loops",
    "WebSockets",
    "Background work",
    "Durable jobs",
    "Database",
    "Observability",
}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def list_panels() -> Iterator[dict[str, Any]]:
    """All panels, those of folded rows included."""
    for panel in BOARD["panels"]:
        yield panel
        yield from panel.get("panels", ())


def list_queries() -> list[tuple[str, str]]:
    """The title of a panel and an expression of it."""
    return [
        (panel["title"], target["expr"])
        for panel in list_panels()
        for target in panel.get("targets", ())
    ]


def test_every_part_of_the_service_has_its_row() -> None:
    titles = {panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"}

    assert titles >= ROWS


def test_every_panel_has_a_place_an_identity_and_something_to_show() -> None:
    panels = list(list_panels())
    places = [tuple(panel["gridPos"].values()) for panel in panels]

    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len(set(places)) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        if panel["type"] != "row":
            assert panel["targets"], panel["title"]
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            for each in (panel, *panel["targets"]):
                assert each["datasource"] == SOURCE, panel["title"]


@pytest.mark.parametrize(("title", "expression"), list_queries())
def test_a_query_asks_for_the_chosen_services_and_names_none(title: str, expression: str) -> None:
    selectors = re.findall(r"\{([^{}]*)\}", expression)

    assert selectors
    for selector in selectors:
        assert 'job=~"$job"' in selector, title
    assert "slipway" not in expression


def test_every_variable_that_is_used_is_there() -> None:
    names = {variable["name"] for variable in BOARD["templating"]["list"]}
    built_in = {"__rate_interval", "__auto", "__all"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(BOARD)))

    assert used - built_in == names


def test_recorded_series_of_the_dashboard_are_recorded() -> None:
    recorded = {rule["record"] for rule in read_rules() if "record" in rule}
    used = {
        name for _, expression in list_queries() for name in re.findall(r"\b\w+:[\w:]+", expression)
    }

    assert used
    assert used <= recorded


def test_the_dashboard_can_be_read_back_as_it_was_written() -> None:
    """Two spaces, so that a change shows as a few lines."""
    text = (FOLDER / "dashboards/service.json").read_text(encoding="utf-8")

    assert text == json.dumps(BOARD, indent=2) + "\n"


def test_what_grafana_is_given_at_its_start_fits_together() -> None:
    [file] = (FOLDER / "provisioning/datasources").iterdir()
    [source] = yaml.safe_load(file.read_text(encoding="utf-8"))["datasources"]
    [file] = (FOLDER / "provisioning/dashboards").iterdir()
    [provider] = yaml.safe_load(file.read_text(encoding="utf-8"))["providers"]
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    grafana, prometheus = compose["services"]["grafana"], compose["services"]["prometheus"]

    assert source["isDefault"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == scraped["global"]["scrape_interval"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in grafana["volumes"]
    assert "./deploy/prometheus:/etc/prometheus:ro" in prometheus["volumes"]
    ports = {"web": "METRICS_PORT", "worker": "JOBS_METRICS_PORT"}
    for job in scraped["scrape_configs"][:-1]:
        [found] = job["dns_sd_configs"]
        [name] = found["names"]
        environment = compose["services"][name]["environment"]
        assert environment.get(ports.pop(name)) == str(found["port"])
        assert environment["METRICS_HOST"] == "0.0.0.0"
    assert ports == {}


@pytest.mark.parametrize("name", ["grafana", "prometheus"])
def test_a_tool_of_the_compose_file_is_pinned_shut_and_asked_for(name: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    tool = compose["services"][name]

    assert tool["profiles"] == ["obs"]
    assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", tool["image"])
    assert tool["read_only"]
    assert tool["cap_drop"] == ["ALL"]
    assert tool["security_opt"] == ["no-new-privileges:true"]
    assert [port.startswith("127.0.0.1:") for port in tool["ports"]] == [True]
