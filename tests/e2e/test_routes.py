"""`make routes` prints what the service is made of."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.e2e.service import ROOT


def test_the_command_prints_the_layers_and_the_routes_of_the_service() -> None:
    done = subprocess.run(
        (sys.executable, "-m", "deploy.routes"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    layers, routes = done.stdout.split("\n\n")
    assert layers.splitlines()[1:3] == [
        "  framework.observability.middleware:ObservabilityMiddleware",
        "  framework.applications:App",
    ]
    [line] = [line for line in routes.splitlines() if "is_ready" in line]
    assert re.split(" +", line) == [
        *("GET,HEAD", "/readyz", "is_ready"),
        "app.system.routes:SystemEndpoints.is_ready",
    ]
