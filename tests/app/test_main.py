"""The composition: what the pieces are together."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import app
from app.main import create_app, create_service
from app.settings import Settings
from framework.observability.health import readiness
from framework.observability.logging import configure_logging
from framework.requests import Request
from framework.responses import Response
from framework.routing import Route
from tests.clients import ClientFactory


def test_the_service_is_ready_after_its_lifespan_has_begun(
    client_factory: ClientFactory, settings: Settings
) -> None:
    states = [readiness.state]
    with client_factory(create_app(settings)):
        states.append(readiness.state)

    assert states == ["starting", "ready"]


def test_the_body_limit_of_the_settings_is_in_force(
    client_factory: ClientFactory, settings: Settings
) -> None:
    service = create_app(settings)
    service.add_route("/read", read, methods=["POST"])

    response = client_factory(service).post("/read", json="x" * 1000)

    assert response.status_code == 413
    assert response.headers["content-type"] == "application/problem+json"


async def read(request: Request[Any]) -> Response:
    return Response(await request.body())


def test_every_method_of_a_path_and_every_name_is_given_once() -> None:
    routes = [route for route in create_app(Settings()).routes if isinstance(route, Route)]
    places = [(method, route.path) for route in routes for method in route.methods or ("*",)]
    names = [route.name for route in routes]

    assert [place for place in places if places.count(place) > 1] == []  # the first one answers
    twice = {name for name in names if names.count(name) > 1}
    assert not twice, f"`url_path_for` finds the first of {twice}: give `Route(..., name=...)`"


def test_debug_shows_the_failure_and_nothing_else_does(client_factory: ClientFactory) -> None:
    for debug in (True, False):
        service = create_app(Settings(debug=debug))
        service.add_route("/fail", fail)
        response = client_factory(service, raise_server_exceptions=False).get("/fail")
        assert response.status_code == 500
        assert ("swordfish" in response.text) is debug


async def fail(request: Request[Any]) -> Response:
    raise RuntimeError("swordfish")


@pytest.fixture
def _own_logging() -> Iterator[None]:
    """Leave the log going where it went: the stream of one test is closed after it."""
    yield
    configure_logging()


@pytest.mark.usefixtures("_own_logging")
def test_the_deployed_service_logs_each_request_once_with_its_id(
    client_factory: ClientFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    service = create_service(Settings(log_format="json"))
    with client_factory(service) as client:
        client.get("/version", headers={"X-Request-ID": "abc-1"})

    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    [access] = [event for event in events if event["event"] == "request"]
    assert access["route"] == "/version"
    assert access["request_id"] == "abc-1"
    assert access["status"] == 200


def test_the_version_of_the_app_is_that_of_the_project() -> None:
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")

    assert app.__version__ == tomllib.loads(text)["project"]["version"]
