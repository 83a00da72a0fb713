"""Where the service listens, what reads HTTP there, and who the client is."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import GUNICORN, ROOT, SERVE, Service, wait_for
from tests.ports import find_free_port, take_ports

SAMPLE = "tests.e2e.sample:app"
WS_FIELDS = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
# Becomes the program with a listening socket, as systemd starts it.
ACTIVATE = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(os.environ["ACTIVATED_PORT"])))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a Unix socket is at most a hundred bytes long."""
    return tmp_path_factory.mktemp("s")


def ask(client: socket.socket, fields: str = "") -> dict[str, Any]:
    """Ask the sample over an open socket."""
    client.settimeout(10)
    client.sendall(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n".encode())
    received = b""
    while data := client.recv(65536):
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    answer: dict[str, Any] = json.loads(body)
    return answer


def ask_by_websocket(client: socket.socket, fields: str = "") -> dict[str, Any]:
    client.settimeout(10)
    client.sendall(f"GET / HTTP/1.1\r\nHost: a\r\n{WS_FIELDS}{fields}\r\n".encode())
    received = b""
    while b"}" not in received:
        data = client.recv(65536)
        assert data, received
        received += data
    answer: dict[str, Any] = json.loads(received[received.index(b"{") : received.index(b"}") + 1])
    return answer


@contextlib.contextmanager
def connect_unix(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        yield client


def test_a_unix_socket_is_for_the_group_and_its_peer_is_a_proxy(folder: Path) -> None:
    path = folder / "web.sock"
    with Service(folder, SERVE, {"UDS": str(path)}) as service:
        service.wait_until_up()
        assert stat.S_IMODE(path.stat().st_mode) == 0o770
        with connect_unix(path) as client:
            client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        (announcement,) = (e for e in service.events if e["event"] == "The service is up")
        assert announcement["socket"] == str(path)
        other = subprocess.run(
            SERVE,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "UDS": str(path), "METRICS_PORT": "0"},
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )
        assert other.returncode == 1
        assert other.stderr.startswith(f"UDS={str(path)!r} is taken: ")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        assert not path.exists()


def test_forwarded_fields_are_believed_on_a_unix_socket(folder: Path) -> None:
    path = folder / "web.sock"
    with Service(folder, env={"UDS": str(path)}) as service:
        service.wait_until_up()
        with connect_unix(path) as client:
            assert ask(client)["client"] is None
        fields = "X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n"
        with connect_unix(path) as client:
            answer = ask(client, fields)
        assert (answer["client"], answer["scheme"]) == (["203.0.113.7", 0], "https")
        with connect_unix(path) as client:
            answer = ask_by_websocket(client, fields)
        assert (answer["client"], answer["scheme"]) == (["203.0.113.7", 0], "wss")


@pytest.mark.parametrize(
    ("trusted", "client", "scheme"),
    [
        ("127.0.0.0/8,10.0.0.0/8", ["203.0.113.7", 4711], "https"),
        ("192.0.2.1", ["127.0.0.1"], "http"),
    ],
)
def test_a_proxy_is_believed_by_its_network_and_nobody_else_is(
    tmp_path: Path, trusted: str, client: list[object], scheme: str
) -> None:
    fields = (
        "X-Forwarded-For: 6.6.6.6, 203.0.113.7:4711\r\nX-Forwarded-For: 10.1.2.3\r\n"
        "X-Forwarded-Proto: https\r\nX_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: ws\r\n"
    )
    with Service(tmp_path, env={"FORWARDED_ALLOW_IPS": trusted}) as service:
        service.wait_until_up()
        for question, is_websocket in ((ask, False), (ask_by_websocket, True)):
            with socket.create_connection(("127.0.0.1", service.port)) as connection:
                answer = question(connection, fields)
            assert answer["client"][: len(client)] == client
            assert answer["scheme"] == (scheme.replace("http", "ws") if is_websocket else scheme)
            assert not [name for name in answer["names"] if "_" in name]


def test_ipv6_works(tmp_path: Path) -> None:
    with Service(tmp_path, env={"HOST": "::1", "METRICS_HOST": "::1"}) as service:
        service.wait_until_up()
        assert service.ask()["client"][0] == "::1"
        (announcement,) = (e for e in service.events if e["event"] == "The service is up")
        assert announcement["page"] == f"http://[::1]:{service.port}/"
        wait_for(lambda: service.count("metrics served") == 1, "the exporter serves")
        assert service.get("/metrics", port=service.metrics_port)[0] == 200


@pytest.mark.parametrize("command", [SERVE, (*GUNICORN, SAMPLE)], ids=["serve", "gunicorn"])
def test_a_socket_that_systemd_hands_over_is_taken(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    activated = find_free_port()
    # The port of the settings is taken: nobody may try to listen there.
    with take_ports(1) as taken:
        env = {"ACTIVATED_PORT": str(activated), "PORT": str(taken)}
        activate = (sys.executable, "-c", ACTIVATE, *command)
        with Service(tmp_path, activate, env) as service:
            service.wait_until_up()
            assert service.get("/livez", port=activated)[0] == 200
            service.signal(signal.SIGHUP)
            wait_for(lambda: service.count("Finished server process") == 2, "the reload is over")
            assert service.get("/livez", port=activated)[0] == 200
            service.signal(signal.SIGTERM)
            assert service.wait() == 0
