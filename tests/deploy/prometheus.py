"""A real Prometheus in a process of its own, and Prometheus's own checker."""

from __future__ import annotations

import http.client
import json
import math
import shutil
import subprocess
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest
import yaml

from tests.e2e.service import wait_for
from tests.ports import find_free_port

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "prometheus"
RULES: Final = sorted((FOLDER / "rules").glob("*.yml"))

Sample = tuple[dict[str, str], float]


def find_program(name: str) -> str:
    """Return the path of a program of Prometheus; skip the test without it."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is missing: apt-get install prometheus")
    return program


def check(*arguments: str | Path) -> str:
    """Run promtool; return what it says when it finds nothing wrong."""
    command = [find_program("promtool"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=15, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def read_rules() -> list[dict[str, Any]]:
    """Return all recording rules and alerts that are shipped."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in RULES]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


class Prometheus:
    """Scrapes targets each half second; evaluates the rules of some files as often.

    Args:
        folder: for its configuration, data and log.
        targets: ports of this machine by the names of jobs.
        rules: files of rules.
    """

    def __init__(self, folder: Path, targets: Mapping[str, int], rules: list[Path]) -> None:
        self._port = find_free_port()
        self._targets = len(targets)
        self._log = folder / "prometheus.log"
        config = folder / "prometheus.yml"
        config.write_text(json.dumps(_build_config(targets, rules)), encoding="utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    find_program("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def __enter__(self) -> Self:
        try:
            wait_for(self._is_ready, "Prometheus is ready")
            # It takes five seconds until a new target is scraped.
            wait_for(lambda: len(self.query("up")) == self._targets, "Prometheus scrapes")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    def query(self, expression: str) -> list[Sample]:
        """Return what an expression gives now, without what is not a number."""
        data = self._get("query", query=expression, time=str(time.time()))
        assert data["resultType"] == "vector", data
        samples = [(each["metric"], float(each["value"][1])) for each in data["result"]]
        return [(labels, value) for labels, value in samples if not math.isnan(value)]

    def list_label_values(self, label: str, match: str) -> list[str]:
        """Return the values that a label has in the series of a selector."""
        return list(self._get(f"label/{label}/values", **{"match[]": match}))

    def firing(self) -> dict[str, dict[str, str]]:
        """Return the labels of the alerts that fire, by name."""
        alerts = self._get("alerts")["alerts"]
        return {a["labels"]["alertname"]: a["labels"] for a in alerts if a["state"] == "firing"}

    def _get(self, path: str, **parameters: str) -> Any:
        status, body = self._ask(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer: Mapping[str, Any] = json.loads(body)
        assert status == 200, (parameters, answer)
        return answer["data"]

    def _is_ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
        try:
            return self._ask("/-/ready")[0] == 200
        except OSError:
            return False

    def _ask(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _build_config(targets: Mapping[str, int], rules: list[Path]) -> dict[str, Any]:
    # The exporter renders once a second at most; JSON is YAML, too.
    return {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in targets.items()
        ],
    }
