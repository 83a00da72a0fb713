"""A project of its own on a real Docker engine: built, started and removed without a trace."""

from __future__ import annotations

import contextlib
import http.client
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]


class Engine:
    """The compose file under another name, beside a service that a developer may have running.

    Args:
        project: its name, and that of its image.
        env: what compose finds in its environment besides free ports.
        profile: what else is started.
    """

    def __init__(self, project: str, env: Mapping[str, str], profile: str = "") -> None:
        self.project = f"{project}-{os.getpid()}"
        # Port 0 is any free port of this machine.
        ports = {"PORT": "0", "METRICS_PORT": "0"}
        self._env = {**os.environ, "IMAGE": self.project, **ports, **env}
        self._options = ["--project-name", self.project]
        if profile:
            self._options += ["--profile", profile]

    def docker(self, *arguments: str, timeout: float = 120) -> str:
        """Run one docker command and return what it printed; a failure shows all of its output."""
        done = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            env=self._env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert done.returncode == 0, f"{arguments} ended with:\n{done.stdout}{done.stderr}"
        return done.stdout

    def compose(self, *arguments: str) -> str:
        return self.docker("compose", *self._options, *arguments, timeout=500)

    @contextlib.contextmanager
    def run(self) -> Iterator[None]:
        """Build and start everything from nothing, as a person would; skip without an engine."""
        try:
            self.docker("version", timeout=20)
        except (AssertionError, FileNotFoundError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"no Docker engine answers: {error}")
        try:
            try:
                self.compose("up", "--build", "--detach", "--wait", "--wait-timeout", "180")
            except AssertionError as error:
                pytest.fail(f"{error}\n{self.compose('logs')}")
            yield
        finally:
            self.remove()

    def remove(self) -> None:
        """Leave nothing behind but images that others made."""
        self.compose("down", "--volumes", "--rmi", "local")
        if self.docker("images", "--quiet", self.project):
            self.docker("image", "rm", "--force", self.project)

    def find_container(self, service: str) -> str:
        return self.compose("ps", "--quiet", service).strip()

    def find_port(self, service: str, port: int) -> int:
        """Return where a port of a container is published."""
        return int(self.compose("port", service, str(port)).rpartition(":")[2])


def get(port: int, path: str) -> tuple[int, bytes]:
    """Ask a port of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
