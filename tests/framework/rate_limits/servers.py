"""A real Redis server on a Unix socket."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest


class RedisServer:
    """A server process; its data are gone with it."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "redis.sock"
        self.url = f"unix://{self.path}"
        command = shutil.which("redis-server")
        if command is None:
            # In CI a skipped test is a failed one.
            pytest.skip("redis-server is not installed: run `apt-get install redis-server`")
        options = {"port": "0", "unixsocket": str(self.path), "save": "", "dir": str(directory)}
        arguments = [text for name, value in options.items() for text in (f"--{name}", value)]
        self.process = subprocess.Popen([command, *arguments], stdout=subprocess.DEVNULL)
        self._wait()

    def stop(self) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()

    def _wait(self) -> None:
        give_up_at = time.monotonic() + 10
        while time.monotonic() < give_up_at:
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(str(self.path)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError("redis-server does not listen")
