"""The environment of the peers: `.venv-bench`, made of `peers.lock` when it is first needed."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = Path(__file__).with_name("peers.lock")
ENVIRONMENT: Final = ROOT / ".venv-bench"
STAMP: Final = ENVIRONMENT / "installed"
INSTALL_TIMEOUT_SECONDS: Final = 600


def find_python(environment: Path = ENVIRONMENT) -> Path:
    """Return the path of an environment's interpreter."""
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return environment / folder / name


def is_installed() -> bool:
    """Say whether the environment exists and was made of the present lock by this Python."""
    return STAMP.exists() and STAMP.read_text(encoding="utf-8") == _stamp_text()


def install() -> Path:
    """Make the environment unless it is there already, and return its interpreter.

    Raises:
        RuntimeError: The packages cannot be installed; the message is one line with the remedy.
    """
    python = find_python()
    if is_installed():
        return python
    print(f"installing the peers of {LOCK.relative_to(ROOT)} into {ENVIRONMENT.name} ...")
    venv.create(ENVIRONMENT, with_pip=True, clear=True, symlinks=os.name != "nt")
    command = [
        str(python),
        "-m",
        "pip",
        "install",
        "-qq",
        "--no-input",
        "--disable-pip-version-check",
    ]
    command += ["--require-hashes", "--no-deps", "--requirement", str(LOCK)]
    try:
        subprocess.run(command, check=True, timeout=INSTALL_TIMEOUT_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(
            f"cannot install the peers ({error.__class__.__name__}): read pip's message above, "
            "or measure without them: python -m load.bench --only slipway,bare"
        ) from error
    STAMP.write_text(_stamp_text(), encoding="utf-8")
    return python


def _stamp_text() -> str:
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return f"{digest} {sys.implementation.name} {platform.python_version()}\n"
