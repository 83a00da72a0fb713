"""The application is an ordinary ASGI application: other servers run it, too."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from app.settings import DEFAULT_SERVICE_NAME
from tests.e2e.service import Service, wait_for
from tests.ports import find_free_port

GUNICORN = (sys.executable, "-m", "gunicorn")
SERVERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "uvicorn": ("uvicorn", (sys.executable, "-m", "uvicorn", "app.main:app", "--port=PORT")),
    "gunicorn asgi": (
        "gunicorn",
        (*GUNICORN, "--no-control-socket", "-k", "asgi", "-b", "127.0.0.1:PORT", "app.main:app"),
    ),
    "gunicorn uvicorn_worker": (
        "gunicorn",
        (*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "-b", "127.0.0.1:PORT", "app.main:app"),
    ),
    "granian": (
        "granian",
        (sys.executable, "-m", "granian", "--interface=asgi", "--port=PORT", "app.main:app"),
    ),
}


@pytest.mark.timeout(40)
@pytest.mark.parametrize("name", SERVERS)
def test_the_service_runs_on(name: str, tmp_path: Path) -> None:
    package, command = SERVERS[name]
    if importlib.util.find_spec(package) is None and not os.environ.get("CI"):
        pytest.skip(f"{package} is not installed")
    port = find_free_port()
    command = tuple(part.replace("PORT", str(port)) for part in command)
    with Service(tmp_path, command, {"WEB_CONCURRENCY": "1", "LOG_FORMAT": "json"}) as service:

        def get(path: str) -> tuple[int, Any]:
            status, body = service.get(path, port=port)
            return status, json.loads(body)

        def is_up() -> bool:
            try:
                return service.get("/readyz", port=port)[0] == 200
            except OSError:
                return False

        wait_for(is_up, "the service is ready")
        status, answer = get("/version")
        assert status == 200
        assert answer["name"] == DEFAULT_SERVICE_NAME
        assert get("/nowhere")[0] == 404
        wait_for(lambda: "/version" in service.output, "the access line")
        service.signal(signal.SIGTERM)
        service.wait()
        assert "Traceback" not in service.output
