"""The image and the compose file, proved on a real Docker engine.

The plain test run does not collect this file (its name does not start with `test_`): it needs an
engine and takes minutes. `make test ARGS=tests/container/check_compose.py` runs it. Without an
engine it is skipped, in CI that is a failure.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.container.engine import Engine, get
from tests.e2e.service import wait_for

pytestmark = pytest.mark.timeout(600)

REVISION = "0a1b2c3"
WORKERS = 2
GRACE_SECONDS = 35

ENGINE = Engine(
    "slipway-check",
    {"GIT_REVISION": REVISION, "WEB_CONCURRENCY": str(WORKERS), "LOG_LEVEL": "INFO"},
)


class Service:
    """The running container."""

    def __init__(self) -> None:
        self.container = ENGINE.find_container("web")
        self.port = ENGINE.find_port("web", 8000)
        self.metrics_port = ENGINE.find_port("web", 9000)

    def inspect(self) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(ENGINE.docker("inspect", self.container))
        return found[0]

    def get(self, path: str, *, port: int | None = None) -> tuple[int, str]:
        status, body = get(port or self.port, path)
        return status, body.decode()

    def count_requests(self, route: str) -> float:
        """Return how many requests of a route all workers together have answered."""
        status, text = self.get("/metrics", port=self.metrics_port)
        assert status == 200
        samples = re.findall(r"^http_requests_total\{(.*)\} (\S+)$", text, re.MULTILINE)
        return sum(float(value) for labels, value in samples if f'route="{route}"' in labels)

    def python(self, code: str, *, user: str | None = None) -> str:
        """Run `code` inside the container, as the service's own user unless one is named."""
        chosen = ["--user", user] if user else []
        return ENGINE.docker("exec", *chosen, self.container, "python", "-c", code)


@dataclasses.dataclass
class Stop:
    """What was seen while the service stopped with one request under way."""

    answer: bytes
    seconds: float
    state: dict[str, Any]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with ENGINE.run():
        yield Service()


@pytest.fixture(scope="module")
def stop(service: Service) -> Stop:
    """Stop the service while the body of a request is still on its way."""
    body = b'{"name": "Ada"}'
    with socket.create_connection(("127.0.0.1", service.port), timeout=GRACE_SECONDS) as client:
        # The interim answer tells that the endpoint has the request and waits for its body.
        client.sendall(
            b"POST /hello HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n" % len(body)
        )
        assert client.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        started = time.monotonic()
        stopping = subprocess.Popen(["docker", "stop", service.container], stdout=subprocess.PIPE)
        wait_for(lambda: not accepts(service), "no new connection is served")
        client.sendall(body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    stopping.communicate(timeout=GRACE_SECONDS)
    return Stop(answer, time.monotonic() - started, service.inspect()["State"])


def accepts(service: Service) -> bool:
    """Tell whether a new connection is still served."""
    try:
        return service.get("/livez")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/version", "/hello/Ada"])
def test_the_service_answers_on_the_published_port(service: Service, path: str) -> None:
    assert service.get(path)[0] == 200


def test_the_image_names_the_revision_it_was_built_from(service: Service) -> None:
    labels = service.inspect()["Config"]["Labels"]

    assert labels["org.opencontainers.image.revision"] == REVISION
    assert REVISION in service.get("/version")[1]


def test_metrics_add_up_over_the_workers_on_their_own_port_only(service: Service) -> None:
    before = service.count_requests("/hello/{name}")

    for _ in range(20):
        assert service.get("/hello/Grace")[0] == 200

    wait_for(lambda: service.count_requests("/hello/{name}") == before + 20, "20 more are counted")
    assert service.get("/metrics")[0] == 404


def test_ports_are_published_on_the_loopback_interface_only(service: Service) -> None:
    published = service.inspect()["NetworkSettings"]["Ports"]

    assert sorted(published) == ["8000/tcp", "9000/tcp"]
    assert {each["HostIp"] for ports in published.values() for each in ports} == {"127.0.0.1"}


def test_every_process_runs_without_root_and_without_capabilities(service: Service) -> None:
    report = service.python(
        "import contextlib, pathlib\n"
        "for each in pathlib.Path('/proc').glob('[0-9]*/status'):\n"
        "    with contextlib.suppress(OSError): print(each.read_text())"
    )
    status = [line.split(":\t") for line in report.splitlines() if ":\t" in line]
    values = {key: {value for name, value in status if name == key} for key, _ in status}

    assert len([1 for name, _ in status if name == "Pid"]) >= WORKERS + 2
    assert values["Uid"] == {"10001\t10001\t10001\t10001"}
    assert values["CapEff"] == values["CapBnd"] == {"0" * 16}
    assert values["NoNewPrivs"] == {"1"}


@pytest.mark.parametrize("folder", ["/", "/service", "/venv", "/var/tmp", "/home"])
def test_the_root_file_system_cannot_be_written_even_by_root(service: Service, folder: str) -> None:
    code = (
        "import errno\n"
        f"try: open('{folder}/probe', 'w')\n"
        "except OSError as error: print(errno.errorcode[error.errno])"
    )

    assert service.python(code, user="0").strip() == "EROFS"


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_folders_in_memory_can_be_written(service: Service, folder: str) -> None:
    service.python(f"import tempfile; tempfile.TemporaryFile(dir='{folder}').write(b'x')")


def test_the_health_check_follows_readiness(service: Service) -> None:
    check = service.inspect()["Config"]["Healthcheck"]["Test"][1:]
    closed = ["docker", "exec", "--env", "PORT=1", service.container, *check]

    assert service.inspect()["State"]["Health"]["Status"] == "healthy"
    assert ENGINE.docker("exec", service.container, *check) == ""
    assert subprocess.run(closed, capture_output=True, check=False).returncode == 1


def test_sigterm_lets_a_running_request_finish_and_exits_with_0(stop: Stop) -> None:
    assert stop.answer.startswith(b"HTTP/1.1 2"), stop.answer
    assert b"Ada" in stop.answer
    assert stop.state["ExitCode"] == 0
    assert not stop.state["OOMKilled"]
    assert stop.seconds < GRACE_SECONDS


def test_every_line_of_the_log_is_json_from_start_to_stop(service: Service, stop: Stop) -> None:
    logs = subprocess.run(["docker", "logs", service.container], capture_output=True, check=True)
    events = [json.loads(line) for line in logs.stdout.splitlines()]

    assert events
    assert [
        each for each in events if not {"timestamp", "level", "logger", "event"} <= each.keys()
    ] == []
    assert logs.stderr == b""


def test_down_leaves_nothing(stop: Stop) -> None:
    ENGINE.compose("down", "--volumes", "--rmi", "all")
    label = f"label=com.docker.compose.project={ENGINE.project}"

    for kind in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
        assert ENGINE.docker(*kind, "--quiet", "--filter", label) == ""
    assert ENGINE.docker("images", "--quiet", ENGINE.project) == ""
