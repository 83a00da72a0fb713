"""What runs here: the build, and the worker that answers."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app import __version__
from app.settings import Settings
from framework.observability.process import worker_slot

UNKNOWN_REVISION: Final = "unknown"

_SOURCE: Final = Path(__file__).parents[2]
_GIT_TIMEOUT_SECONDS: Final = 2.0

# How long this process has had the code: it is imported once, in the worker itself.
_started_at: Final = time.monotonic()


@dataclass(frozen=True, slots=True)
class Build:
    """What was built; the same in every worker."""

    name: str
    version: str
    revision: str
    python: str


@dataclass(frozen=True, slots=True)
class Worker:
    """The process that answers. `slot` outlives `pid`; during a reload it can be above `workers`."""

    slot: int
    pid: int
    workers: int
    uptime_seconds: float


def build_facts(settings: Settings) -> Build:
    """Return the facts about the build."""
    revision = settings.git_revision or find_git_revision(_SOURCE) or UNKNOWN_REVISION
    return Build(settings.service_name, __version__, revision, platform.python_version())


def read_worker() -> Worker:
    """Return the facts about this process as they are now."""
    return Worker(
        slot=int(worker_slot() or 0),
        pid=os.getpid(),
        workers=int(os.environ.get("SLIPWAY_WORKERS", "1")),
        uptime_seconds=round(time.monotonic() - _started_at, 1),
    )


def find_git_revision(folder: Path) -> str | None:
    """Return the short hash of the commit that `folder` is at, None when git does not tell."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "-C", str(folder), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command, no input
            command, capture_output=True, check=True, text=True, timeout=_GIT_TIMEOUT_SECONDS
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def format_duration(seconds: float) -> str:
    """Return a duration as a person says it, in its two largest units: `3 min 12 s`."""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    units = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    while len(units) > 1 and not units[0][0]:
        units.pop(0)
    return " ".join(f"{number} {unit}" for number, unit in units[:2])
