"""The environment of the third-party packages: `.venv-thirdparty`, made of `packages.lock` when first needed."""

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
LOCK: Final = Path(__file__).with_name("packages.lock")
ENVIRONMENT: Final = ROOT / ".venv-thirdparty"
STAMP: Final = ENVIRONMENT / "installed"
INSTALL_TIMEOUT_SECONDS: Final = 240


def install() -> Path:
    """Make the environment unless it is there already, and return its interpreter.

    Raises:
        RuntimeError: The packages cannot be installed; the message ends with what pip said.
    """
    python = _find_python()
    if is_installed():
        return python
    venv.create(ENVIRONMENT, with_pip=True, clear=True, symlinks=os.name != "nt")
    command = [str(python), "-m", "pip", "install", "-qq", "--no-input", "--require-hashes"]
    command += [
        "--disable-pip-version-check",
        "--retries=10",
        "--no-deps",
        "--requirement",
        str(LOCK),
    ]
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"pip took over {INSTALL_TIMEOUT_SECONDS} seconds") from error
    if done.returncode:
        raise RuntimeError(f"cannot install {LOCK.name}: {done.stderr.strip()[-300:]}")
    STAMP.write_text(_stamp_text(), encoding="utf-8")
    return python


def is_installed() -> bool:
    """Say whether the environment exists and was made of the present lock by this Python."""
    return STAMP.exists() and STAMP.read_text(encoding="utf-8") == _stamp_text()


def _find_python() -> Path:
    folder, name = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return ENVIRONMENT / folder / name


def _stamp_text() -> str:
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    return f"{digest} {sys.implementation.name} {platform.python_version()}\n"
