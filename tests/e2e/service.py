"""A real service in processes of its own: started, asked, sent signals, and always stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from app.settings import DEFAULT_SERVICE_NAME
from tests.ports import take_ports

ROOT: Final = Path(__file__).parents[2]
GUNICORN: Final = (
    sys.executable,
    str(Path(sys.executable).with_name("gunicorn")),
    "--config",
    "deploy/gunicorn.conf.py",
)
SERVE: Final = (sys.executable, "-m", "deploy.serve")

# How the folders of a service in memory begin, as `app.places` names them.
FOLDER_PREFIX: Final = re.sub(r"[^A-Za-z0-9.-]+", "_", DEFAULT_SERVICE_NAME)

_PATIENCE_SECONDS: Final = 15.0

# How long a worker is asked for that there should be.
_MISSING_SECONDS: Final = 3.0


def wait_for(
    condition: Callable[[], object], what: str, patience: float = _PATIENCE_SECONDS
) -> None:
    """Wait until the condition is true; `what` says what did not happen."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"not within {patience} s: {what}"
        time.sleep(0.02)


def parse_events(output: str, *, is_over: bool) -> list[dict[str, Any]]:
    """Parse every line of a log; one that is not JSON fails the test.

    While the process runs, its last line may be there in part.
    """
    lines = output.splitlines(keepends=True)
    if lines and not is_over and not lines[-1].endswith("\n"):
        lines.pop()
    return [json.loads(line) for line in lines]


class Service:
    """A service on free ports; its output goes to a file.

    Args:
        folder: for the output and whatever the application leaves.
        command: what is started, in the root of the repository.
        env: settings besides ports and two workers.
    """

    def __init__(
        self,
        folder: Path,
        command: tuple[str, ...] = (*GUNICORN, "tests.e2e.sample:app"),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.host = (env or {}).get("HOST", "127.0.0.1")
        with take_ports(2) as port:
            self.port, self.metrics_port = port, port + 1
        self.folder = folder
        self._places = [f"*-{self.port}", f"*-{self.port}-channels", f"*-{self.port}-live"]
        if env is not None and "UDS" in env:
            self._places.append(re.sub(r"[^A-Za-z0-9.-]+", "_", env["UDS"]) + "*")
        self.answered = 0
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "HOST": "127.0.0.1",
                    "PORT": str(self.port),
                    "METRICS_PORT": str(self.metrics_port),
                    "WEB_CONCURRENCY": "2",
                    "SAMPLE_FOLDER": str(folder),
                    **(env or {}),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        # The session is ours: masters, workers and exporters, whatever has become of them.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pid in self.find_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        # A kill leaves what the service keeps in memory, and channels outlive every end.
        for pattern in self._places:
            for folder in Path("/dev/shm").glob(f"{FOLDER_PREFIX}-{pattern}-{os.getuid()}"):
                shutil.rmtree(folder, ignore_errors=True)
        if exc is not None:
            sys.stderr.write(self.output)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def run_directory(self) -> Path:
        """Where the master keeps metrics files while it runs; Linux only."""
        return Path("/dev/shm") / f"{FOLDER_PREFIX}-127.0.0.1-{self.port}-{os.getuid()}"

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every line of the output; one that is not JSON fails the test."""
        is_over = self._process.poll() is not None
        return parse_events(self.output, is_over=is_over)

    def count(self, text: str) -> int:
        return sum(text in event["event"] for event in self.events)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        return self._process.wait(_PATIENCE_SECONDS)

    def wait_until_up(self) -> Self:
        wait_for(self._is_up_or_over, "the service is up")
        assert self._process.poll() is None, self.output
        return self

    def get(self, path: str, *, port: int | None = None) -> tuple[int, bytes]:
        """Ask over a connection of its own."""
        connection = http.client.HTTPConnection(self.host, port or self.port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ask(self) -> dict[str, Any]:
        """What one worker of the sample says about itself."""
        status, body = self.get("/")
        assert status == 200
        self.answered += 1
        answer: dict[str, Any] = json.loads(body)
        return answer

    def workers(self) -> dict[int, int]:
        """The pids of the workers that answer, by slot; asked until nobody new has for a while."""
        pids: dict[int, int] = {}
        asked_in_vain, expected = 0, 1
        deadline = time.monotonic() + _MISSING_SECONDS
        # One that is given no processor answers nothing meanwhile.
        while asked_in_vain < 50 or (len(pids) < expected and time.monotonic() < deadline):
            answer = self.ask()
            expected = max(expected, answer["workers"])
            if answer["slot"] in pids:
                asked_in_vain += 1
            else:
                asked_in_vain, deadline = 0, time.monotonic() + _MISSING_SECONDS
            pids[answer["slot"]] = answer["pid"]
        return pids

    def find_processes(self) -> list[int]:
        """The pids that carry this service's port in their environment."""
        mark = f"SAMPLE_FOLDER={self.folder}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def _is_up_or_over(self) -> bool:
        return "is up" in self.output or self._process.poll() is not None
