"""A setting whose package is missing ends the start with one line."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from deploy.packages import PARSERS, TRACING, find_missing

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def test_pip_is_asked_for_what_the_project_asks_for() -> None:
    assert list(PARSERS["zttp"].values()) == EXTRAS["zttp"]
    assert set(PARSERS["httptools"].values()) <= set(PROJECT["dependencies"])
    assert set(TRACING.values()) <= set(EXTRAS["otel"])


def hide(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    find_spec = importlib.util.find_spec

    def find(name: str, *args: Any) -> Any:
        if name.startswith(package):
            raise ModuleNotFoundError(name)
        return find_spec(name, *args)

    monkeypatch.setattr(importlib.util, "find_spec", find)


def test_a_collector_without_the_packages_names_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(otlp_endpoint="http://localhost:4318")
    assert find_missing(settings) is None

    hide(monkeypatch, "opentelemetry")

    problem = find_missing(settings)
    assert problem is not None
    assert problem.startswith(
        f"OTEL_EXPORTER_OTLP_ENDPOINT needs packages that are not installed: run {sys.executable} -m"
    )
    assert re.findall(r"'([^']+)'", problem) == list(TRACING.values())
    assert find_missing(Settings()) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://bob:geheim@127.0.0.1:1/jobs", "Connection refused"),
        ("postgresql://bob@127.0.0.1:geheim/jobs", "it is no URL"),
        ("sqlite:////dev/null/jobs.sqlite", "/dev/null"),
    ],
)
def test_a_job_worker_without_its_database_says_so_in_one_line(url: str, reason: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "deploy.worker"],
        cwd=ROOT,
        env={"JOBS_URL": url, "JOBS_METRICS_PORT": "0", "LOG_FORMAT": "json", "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert result.returncode == 1
    # The library may have said something before.
    *_, line = result.stdout.splitlines()
    assert '"exception"' not in line
    assert "JOBS_URL cannot be used: " in line
    assert reason in line
    assert "start the database, or correct JOBS_URL" in line
    assert "geheim" not in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
