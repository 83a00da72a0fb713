"""Servers that tests need, each an instance of the test's own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict

import pytest

_PATIENCE_SECONDS = 30.0


class _Identity(TypedDict):
    """As whom a process runs."""

    user: int
    group: int
    extra_groups: tuple[int, ...]


@contextmanager
def run_postgres() -> Iterator[str]:
    """Run a PostgreSQL of its own on a Unix socket; yield the URL of an empty database.

    Without the programs the test is skipped, which in CI is a failure.
    """
    folders = [
        str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    ]
    path = os.pathsep.join([*folders, os.environ["PATH"]])
    initdb, postgres = shutil.which("initdb", path=path), shutil.which("postgres", path=path)
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed: its programs initdb and postgres are needed")
    folder = Path(tempfile.mkdtemp(prefix="slipway-pg-"))
    # The server refuses to run as root, as whom tests in a container do.
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    identity = _Identity(user=user.pw_uid, group=user.pw_gid, extra_groups=())
    os.chown(folder, user.pw_uid, user.pw_gid)
    data = folder / "data"
    server: subprocess.Popen[bytes] | None = None
    try:
        command = (initdb, "--no-sync", "--auth=trust", "--username=tester", "-D", str(data))
        subprocess.run(command, check=True, capture_output=True, cwd="/", **identity)
        options = ("-c", "listen_addresses=", "-c", "fsync=off", "-k", str(folder))
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                (postgres, "-D", str(data), *options), stdout=log, stderr=log, cwd="/", **identity
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while "ready to accept connections" not in (folder / "log").read_text():
            assert time.monotonic() < deadline, (folder / "log").read_text()
            assert server.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield f"postgresql://tester@/postgres?host={folder}"
    finally:
        if server is not None:
            server.send_signal(signal.SIGQUIT)
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)
