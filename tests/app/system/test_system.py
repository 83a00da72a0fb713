"""Health, version and the worker that answers."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

import anyio
import pytest

import app
from app.main import create_app
from app.settings import Settings
from app.system.facts import build_facts, find_git_revision, format_duration
from app.system.routes import SystemEndpoints
from framework.applications import App
from framework.observability.health import readiness
from framework.testclient import TestClient
from tests.clients import ClientFactory


async def refuse() -> None:
    raise ConnectionError("postgresql://user:swordfish@db is down")


def test_livez_answers_and_is_not_stored(client: TestClient) -> None:
    response = client.get("/livez")

    assert response.status_code == 200
    assert response.text == "alive\n"
    assert response.headers["cache-control"] == "no-store"


def test_livez_answers_when_the_process_is_not_ready(client: TestClient) -> None:
    readiness.add_check("database", refuse)
    readiness.set_draining()

    assert client.get("/livez").status_code == 200


def test_readyz_is_503_before_the_start_up_is_complete(
    client_factory: ClientFactory, settings: Settings
) -> None:
    response = client_factory(create_app(settings)).get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"state": "starting", "checks": {}}


def test_readyz_is_200_after_the_start_up(client: TestClient) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"state": "ready", "checks": {}}
    assert response.headers["cache-control"] == "no-store"


def test_readyz_is_503_while_the_process_ends(client: TestClient) -> None:
    readiness.set_draining()

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {"state": "draining", "checks": {}}


def test_readyz_is_503_when_a_dependency_is_away_and_tells_no_secrets(client: TestClient) -> None:
    readiness.add_check("database", refuse)

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["database"]["status"] == "failed"
    assert "swordfish" not in response.text


def test_readyz_does_not_wait_longer_than_its_time_out(client_factory: ClientFactory) -> None:
    readiness.add_check("queue", anyio.sleep_forever)
    with client_factory(create_app(Settings(readiness_timeout=0.1))) as client:
        response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["checks"]["queue"]["status"] == "timeout"


def test_version_says_what_was_built(client: TestClient) -> None:
    assert client.get("/version").json() == {
        "name": "Testing",
        "version": app.__version__,
        "revision": "3f9c1ab",
        "python": platform.python_version(),
    }


def test_worker_says_who_answers_and_ends_the_connection(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPWAY_WORKERS", "4")

    response = client.get("/worker")

    worker = response.json()
    assert worker["pid"] == os.getpid()
    assert worker["workers"] == 4
    assert worker["slot"] == 0
    assert worker["uptime_seconds"] >= 0
    assert response.headers["connection"] == "close"
    assert response.headers["cache-control"] == "no-store"


def test_readme_is_shown_as_text(client: TestClient) -> None:
    response = client.get("/readme")

    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def test_without_the_file_there_is_no_readme(
    client_factory: ClientFactory, settings: Settings, tmp_path: Path
) -> None:
    endpoints = SystemEndpoints(settings, readme=tmp_path / "README.md")
    client = client_factory(App(routes=endpoints.routes))

    assert client.get("/readme").status_code == 404
    assert 'href="/readme"' not in client.get("/").text
    assert "README.md" in client.get("/").text


def test_the_revision_is_asked_from_git(tmp_path: Path) -> None:
    commit = ["commit", "--quiet", "--allow-empty", "--message", "one"]
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    subprocess.run(["git", "-C", tmp_path, *who, *commit], check=True)

    revision = find_git_revision(tmp_path)

    assert revision is not None
    assert 4 <= len(revision) <= 40
    assert int(revision, 16) >= 0


def test_outside_of_a_repository_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert find_git_revision(tmp_path) is None


def test_without_git_the_revision_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert build_facts(Settings()).revision == "unknown"
    assert build_facts(Settings(git_revision="v1")).revision == "v1"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (86_399, "23 h 59 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
