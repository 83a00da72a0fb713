from __future__ import annotations

import errno
import os
import re
import socket
import sys
from pathlib import Path

import pytest

from framework.server.preflight import (
    find_bind_problem,
    find_missing_packages,
    find_socket_problem,
    is_socket_activated,
)
from tests.ports import find_free_port, take_ports


def find(host: str, port: int) -> str | None:
    return find_bind_problem(host, port, host_setting="HOST", port_setting="PORT")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_free_port_is_no_problem(host: str) -> None:
    assert find(host, 0) is None


def test_a_port_is_free_again_although_connections_to_it_are_closing() -> None:
    port = find_free_port()
    with socket.create_server(("127.0.0.1", port)) as server:
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    assert find("127.0.0.1", port) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_names_another(host: str) -> None:
    with take_ports(1, host) as port:
        problem = find("127.0.0.1", port)
    assert problem is not None
    assert problem.startswith(f"port {port} on 127.0.0.1 is taken: stop the process")
    assert "PORT=" in problem


def test_the_port_that_is_named_is_free_and_no_other_setting_has_it() -> None:
    with take_ports(1) as port:
        reserved = range(port + 1, port + 10)
        problem = find_bind_problem(
            "127.0.0.1", port, host_setting="HOST", port_setting="PORT", reserved=reserved
        )
    assert problem is not None
    [named] = re.findall(r"PORT=(\d+)", problem)
    assert int(named) >= port + 10
    assert find("127.0.0.1", int(named)) is None


def test_a_port_that_is_taken_is_not_named() -> None:
    with take_ports(2) as port:
        problem = find("127.0.0.1", port)
    assert problem is not None
    assert not problem.endswith(f"PORT={port + 1}")


def test_where_no_port_is_free_none_is_named() -> None:
    with take_ports(1) as port:
        problem = find_bind_problem(
            "127.0.0.1", port, host_setting="HOST", port_setting="PORT", reserved=range(65536)
        )
    assert problem is not None
    assert problem.endswith("or choose another port with PORT")


def test_a_foreign_address_and_an_unknown_name_say_what_to_use() -> None:
    assert find("192.0.2.1", 0) == (
        "HOST='192.0.2.1' is no address of this machine: use 127.0.0.1 or 0.0.0.0"
    )
    problem = find("nowhere.invalid", 0)
    assert problem is not None
    assert problem.startswith("HOST='nowhere.invalid' cannot be resolved")


def test_a_port_that_needs_rights_says_which_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert find("127.0.0.1", 80) == "PORT=80 needs special rights: choose a port from 1024 on"


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a Unix socket is at most a hundred bytes long."""
    return tmp_path_factory.mktemp("p") / "web.sock"


def test_a_unix_socket_that_nobody_listens_on_is_no_problem(place: Path) -> None:
    assert find_socket_problem(str(place), setting="UDS") is None
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
    assert place.is_socket()
    assert find_socket_problem(str(place), setting="UDS") is None


def test_a_unix_socket_that_cannot_be_made_says_what_to_do(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(place))
        server.listen(1)
        problem = find_socket_problem(str(place), setting="UDS")
    assert problem == (
        f"UDS={str(place)!r} is taken: stop the process that listens there, or choose another"
    )
    place.unlink()
    place.touch()
    problem = find_socket_problem(str(place), setting="UDS")
    assert problem is not None
    assert "is there and no socket" in problem
    problem = find_socket_problem(str(place.parent / "none" / "web.sock"), setting="UDS")
    assert problem is not None
    assert "make the folder" in problem


@pytest.mark.parametrize("load", [True, False])
def test_packages_that_are_missing_are_named_with_the_command(*, load: bool) -> None:
    def find_missing(modules: dict[str, str]) -> str | None:
        return find_missing_packages("HTTP=x", modules, load=load)

    assert find_missing({"httptools": "httptools", "importlib.metadata": "python"}) is None
    pip = f"{sys.executable} -m pip install"
    assert find_missing({"httptools": "httptools", "no_such": "such==1"}) == (
        f"HTTP=x needs a package that is not installed: run {pip} such==1"
    )
    # The shell must not take `>` for a redirection.
    assert find_missing({"no_such": "such>=1", "no.such.child": "child"}) == (
        f"HTTP=x needs packages that are not installed: run {pip} 'such>=1' child"
    )


@pytest.mark.parametrize(
    ("pid", "number", "expected"),
    [("mine", "1", True), ("mine", "0", False), ("mine", "x", False), ("1", "1", False)],
)
def test_sockets_are_handed_over_to_the_process_that_is_named(
    pid: str, number: str, *, expected: bool
) -> None:
    environ = {"LISTEN_PID": str(os.getpid()) if pid == "mine" else pid, "LISTEN_FDS": number}
    assert is_socket_activated(environ) is expected
    assert not is_socket_activated({})
