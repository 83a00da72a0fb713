"""The service as a person starts it: with its own application and settings."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import app
from app.settings import DEFAULT_SERVICE_NAME
from tests.e2e.service import FOLDER_PREFIX, ROOT, SERVE, Service, wait_for
from tests.ports import find_free_port, take_ports

FROM_ANYWHERE = """
import os
from deploy import serve
os.execv = lambda path, command: print(os.getcwd(), os.path.exists(command[-1]))
serve.main()
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path, SERVE) as running:
        yield running.wait_until_up()


def run(env: dict[str, str], *command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command or SERVE,
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "METRICS_PORT": "0", **env},
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def test_it_answers_says_where_and_stops(service: Service) -> None:
    assert service.get("/livez")[0] == 200
    assert service.get("/readyz")[0] == 200
    (announcement,) = (event for event in service.events if event["event"] == "The service is up")
    assert announcement["page"] == f"http://127.0.0.1:{service.port}/"
    assert announcement["metrics"] == f"http://127.0.0.1:{service.metrics_port}/metrics"
    assert announcement["workers"] == 2
    wait_for(lambda: service.count("metrics served") == 1, "the exporter serves")
    assert service.get("/metrics", port=service.metrics_port)[0] == 200
    assert service.get("/metrics")[0] == 404
    service.signal(signal.SIGTERM)
    assert service.wait() == 0


def test_before_it_stops_it_says_so_and_goes_on_taking_requests(tmp_path: Path) -> None:
    with Service(tmp_path, SERVE, {"DRAIN_SECONDS": "3"}) as service:
        service.wait_until_up()
        client = http.client.HTTPConnection("127.0.0.1", service.port, timeout=5)

        def ask(path: str) -> tuple[int, str | None]:
            client.request("GET", path)
            response = client.getresponse()
            response.read()
            return response.status, response.getheader("connection")

        assert ask("/readyz") == (200, None)
        begun = time.monotonic()
        service.signal(signal.SIGTERM)
        wait_for(lambda: ask("/readyz") == (503, "close"), "it says that it stops")
        while time.monotonic() < begun + 1.5:
            assert ask("/livez")[0] == 200  # a reset would be an exception
        assert service.wait() == 0
        assert 2.9 < time.monotonic() - begun < 6


def test_the_exporter_understands_the_settings_as_the_service_does(tmp_path: Path) -> None:
    with Service(tmp_path, SERVE, {"LOG_LEVEL": "", "LOG_FORMAT": "JSON"}) as service:
        service.wait_until_up()
        wait_for(lambda: service.count("metrics served") == 1, "the exporter serves")


def test_a_run_directory_of_others_is_one_line(tmp_path: Path) -> None:
    port = find_free_port()
    name = f"{FOLDER_PREFIX}-127.0.0.1-{port}-{os.getuid()}"
    folder = Path("/dev/shm") / name
    folder.mkdir(mode=0o755)
    try:
        result = run({"PORT": str(port)})
    finally:
        folder.rmdir()
    assert (result.returncode, result.stderr) == (1, "")
    assert "remove it" in result.stdout
    assert "Traceback" not in result.stdout


def test_it_starts_from_any_folder(tmp_path: Path) -> None:
    env = {"PYTHONPATH": str(ROOT), "PORT": str(find_free_port())}
    command = (sys.executable, "-c", FROM_ANYWHERE)
    assert run(env, *command, cwd=tmp_path).stdout == f"{ROOT} True\n"


def test_plain_uvicorn_writes_each_access_line_once(tmp_path: Path) -> None:
    port = find_free_port()
    command = (sys.executable, "-m", "uvicorn", "app.main:app", f"--port={port}")
    with Service(tmp_path, command, {"WEB_CONCURRENCY": "1"}) as service:
        wait_for(lambda: "Uvicorn running" in service.output, "the process is up")
        assert service.get("/version", port=port)[0] == 200
        wait_for(lambda: "/version" in service.output, "the access line")
        service.signal(signal.SIGTERM)
        service.wait()
        assert service.output.count('"path":"/version"') == 1


def test_every_line_is_json_from_start_to_stop(service: Service) -> None:
    service.get("/version")
    service.get("/nowhere")
    service.signal(signal.SIGHUP)
    wait_for(lambda: service.count("Finished server process") == 2, "the reload is over")
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    for event in service.events:
        assert {"timestamp", "level", "logger", "event", "pid"} <= event.keys()
    loggers = {event["logger"] for event in service.events}
    assert {"gunicorn.error", "uvicorn.error", "framework.server"} <= loggers
    assert sum("/version" in event.values() for event in service.events) == 1
    assert "uvicorn.access" not in loggers
    assert "gunicorn.access" not in loggers


def test_on_a_console_the_links_are_lines_of_text(tmp_path: Path) -> None:
    with Service(tmp_path, SERVE, {"LOG_FORMAT": "console"}) as service:
        service.wait_until_up()
        assert f"{DEFAULT_SERVICE_NAME} {app.__version__} is up, 2 workers\n" in service.output
        assert f"     page  http://127.0.0.1:{service.port}/\n" in service.output
        assert f"  metrics  http://127.0.0.1:{service.metrics_port}/metrics\n" in service.output


def test_without_a_port_there_are_no_metrics(tmp_path: Path) -> None:
    with Service(tmp_path, SERVE, {"METRICS_PORT": "0"}) as service:
        service.wait_until_up()
        (announcement,) = (event for event in service.events if "is up" in event["event"])
        assert "metrics" not in announcement
        assert service.count("metrics served") == 0


@pytest.mark.parametrize("setting", ["PORT", "METRICS_PORT"])
@pytest.mark.parametrize("module", ["deploy.serve", "deploy.dev"])
def test_a_taken_port_is_one_line_that_says_what_to_do(setting: str, module: str) -> None:
    with take_ports(1) as taken:
        env = {"PORT": str(find_free_port()), setting: str(taken)}
        result = run(env, sys.executable, "-m", module)
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"port {taken} on 127.0.0.1 is taken: ")
    [proposed] = re.findall(rf"\b{setting}=(\d+)", line)
    assert taken < int(proposed) <= taken + 100


@pytest.mark.parametrize(
    ("env", "line"),
    [
        (
            {"WEB_CONCURRENCY": "many"},
            "WEB_CONCURRENCY='many' is not allowed: use a whole number from 1 to 256",
        ),
        (
            {"LOG_LEVEL": "LOUD"},
            "LOG_LEVEL='LOUD' is not allowed: use DEBUG, INFO, WARNING, ERROR or CRITICAL",
        ),
        ({"PORT": "http"}, "PORT='http' is not allowed: use a whole number from 1 to 65535"),
    ],
)
@pytest.mark.parametrize("module", ["deploy.serve", "deploy.dev"])
def test_a_wrong_setting_is_one_line(env: dict[str, str], line: str, module: str) -> None:
    result = run(env, sys.executable, "-m", module)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", f"{line}\n")


def test_gunicorn_itself_refuses_a_wrong_setting_in_one_line() -> None:
    gunicorn = (sys.executable, str(Path(sys.executable).with_name("gunicorn")))
    result = run({"LOG_LEVEL": "LOUD"}, *gunicorn, "--config", "deploy/gunicorn.conf.py")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1


def test_dev_serves_is_ready_and_writes_each_access_line_once(tmp_path: Path) -> None:
    dev = (sys.executable, "-m", "deploy.dev")
    with Service(tmp_path, dev, {"DEBUG": "1"}) as service:
        wait_for(lambda: "Application startup complete" in service.output, "the process is up")
        assert service.get("/readyz")[0] == 200
        assert service.get("/metrics", port=service.metrics_port)[0] == 200
        assert service.get("/version")[0] == 200
        wait_for(lambda: "/version" in service.output, "the access line")
        assert service.output.count('"path":"/version"') == 1
        service.signal(signal.SIGINT)
        assert service.wait() == 0


def test_settings_that_operators_rely_on_are_in_force() -> None:
    gunicorn = (sys.executable, str(Path(sys.executable).with_name("gunicorn")))
    command = (*gunicorn, "--print-config", "--config", "deploy/gunicorn.conf.py")
    result = run({"WEB_CONCURRENCY": "3"}, *command, "tests.e2e.sample:app")
    config = dict(line.split(" = ", 1) for line in result.stdout.splitlines() if " = " in line)
    shown = {name.strip(): value for name, value in config.items()}
    assert (
        shown
        | {
            "bind": "['127.0.0.1:8000']",
            "workers": "3",
            "timeout": "30",
            "graceful_timeout": "25",
            "keepalive": "75",
            "max_requests": "20000",
            "max_requests_jitter": "4000",
            "preload_app": "False",
            "reuse_port": "False",
            "control_socket_disable": "True",
            "worker_tmp_dir": "/dev/shm",
        }
        == shown
    ), json.dumps(shown, indent=1)
