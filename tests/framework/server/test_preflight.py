from __future__ import annotations

import errno
import socket

import pytest

from framework.server.preflight import find_bind_problem


def find(host: str, port: int) -> str | None:
    return find_bind_problem(host, port, host_setting="HOST", port_setting="PORT")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
def test_a_free_port_is_no_problem(host: str) -> None:
    assert find(host, 0) is None


def test_a_port_is_free_again_although_connections_to_it_are_closing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()
        client.close()
    assert find("127.0.0.1", port) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_names_another(host: str) -> None:
    with socket.create_server((host, 0)) as server:
        port = server.getsockname()[1]
        problem = find("127.0.0.1", port)
    assert problem is not None
    assert problem.startswith(f"port {port} on 127.0.0.1 is taken: stop the process")
    assert "PORT=" in problem


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
