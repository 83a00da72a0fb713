"""What `deploy/gunicorn.conf.py` sets is in force in the running service."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings
from tests.e2e.service import GUNICORN, ROOT, SERVE, Service, wait_for
from tests.ports import find_free_port

# A package that cannot be imported, nor found.
WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("in_force")
    with Service(folder, env={"HOME": str(folder)}) as running:
        yield running.wait_until_up()


def list_open_files(pid: int) -> list[str]:
    names = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the connection of the last question
            names.append(str(entry.readlink()))
    return names


def test_heartbeats_are_files_in_memory(service: Service) -> None:
    for pid in service.workers().values():
        files = [name for name in list_open_files(pid) if "wgunicorn-" in name]
        assert len(files) == 1
        assert files[0].startswith("/dev/shm/")


def test_there_is_no_control_socket(service: Service) -> None:
    own = {name for pid in service.find_processes() for name in list_open_files(pid)}
    sockets = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    controls = [line.split() for line in sockets if "gunicorn.ctl" in line]
    assert not [fields for fields in controls if f"socket:[{fields[6]}]" in own]
    assert not (service.folder / ".gunicorn").exists()


def test_each_worker_imports_the_application_itself(service: Service) -> None:
    answer = service.ask()
    assert answer["imported_by"] == answer["pid"]


def test_what_lives_as_long_as_the_process_is_frozen(service: Service) -> None:
    answer = service.ask()
    # By the master before the fork, by the worker when it serves.
    assert answer["frozen_at_import"] > 10_000
    assert answer["frozen"] > answer["frozen_at_import"]


def test_nobody_else_can_share_the_port(service: Service) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", service.port))


@pytest.mark.parametrize(("given", "expected"), [({}, "2"), ({"MALLOC_ARENA_MAX": "4"}, "4")])
def test_threads_share_two_memory_arenas(
    tmp_path: Path, given: dict[str, str], expected: str
) -> None:
    with Service(tmp_path, SERVE, {"METRICS_PORT": "0", **given}) as service:
        service.wait_until_up()
        for pid in service.find_processes():
            environ = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            assert f"MALLOC_ARENA_MAX={expected}".encode() in environ


def test_limits_of_gunicorn_are_limits_of_the_protocol(service: Service) -> None:
    for request, status in (
        (b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 8200), b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % (b"y" * 8200), b"431"),
    ):
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
            client.sendall(request)
            assert client.recv(1000).startswith(b"HTTP/1.1 " + status)


def test_the_time_out_chain_is_that_of_compose() -> None:
    compose = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    (period,) = re.findall(r"stop_grace_period: (\d+)s", compose)
    assert Settings().stop_grace_period == int(period)


@pytest.mark.parametrize(
    ("command", "env"),
    [(SERVE, {}), (SERVE, {"HTTP": "zttp"}), (GUNICORN, {}), (GUNICORN, {"HTTP": "zttp"})],
    ids=["serve", "serve-zttp", "gunicorn", "gunicorn-zttp"],
)
def test_without_its_parser_nothing_else_serves(
    tmp_path: Path, command: tuple[str, ...], env: dict[str, str]
) -> None:
    missing = env.get("HTTP", "httptools")
    (tmp_path / "sitecustomize.py").write_text(WITHOUT.format(name=missing), encoding="utf-8")
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tmp_path),
            "PORT": str(find_free_port()),
            "METRICS_PORT": "0",
            **env,
        },
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.returncode == 1
    assert "Listening" not in done.stdout
    if command is GUNICORN and missing == "httptools":
        # Before the configuration is read; gunicorn itself reports it.
        assert "No module named 'httptools'" in done.stderr
        return
    [line] = done.stderr.splitlines()
    assert line.startswith(f"HTTP={missing} needs a package that is not installed: run ")
    assert re.search(rf" -m pip install '?{missing}[=>]=", line)


def test_zttp_serves_both_versions(tmp_path: Path) -> None:
    zttp = find_zttp()
    with Service(tmp_path, env={"HTTP": "zttp", "HEADER_TIMEOUT": "1"}) as service:
        service.wait_until_up()
        assert service.ask()["version"] == "1.1"
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        connection = zttp.Connection(zttp.CLIENT, protocol=zttp.HTTP2)
        connection.initiate_connection()
        connection.send_request(
            b"GET", b"/", b"2", [(b"host", b"a"), (b"x-forwarded-for", b"203.0.113.7")]
        ).end_message()
        body = b""
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
            while True:
                client.sendall(connection.data_to_send())
                connection.receive_data(client.recv(65536))
                events = list(iter(connection.next_event, zttp.NEED_DATA))
                body += b"".join(event.data for event in events if isinstance(event, zttp.Data))
                if any(isinstance(event, zttp.EndOfMessage) for event in events):
                    break
        answer = json.loads(body)
        assert answer["version"] == "2"
        assert answer["client"][0] == "203.0.113.7"
        service.signal(signal.SIGHUP)
        wait_for(lambda: service.count("Finished server process") == 2, "the reload is over")
        with socket.create_connection(("127.0.0.1", service.port), timeout=10) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def find_zttp() -> Any:
    try:
        return importlib.import_module("zttp")
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("zttp is not installed")
