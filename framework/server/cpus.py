"""How many CPUs this process may really use, and how many workers to start for them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["MAX_WORKERS", "MIN_WORKERS", "default_workers", "usable_cpus"]

MIN_WORKERS: Final = 2
"""One worker can be replaced while the other serves."""

MAX_WORKERS: Final = 8
"""Each worker costs memory and database connections; more has to be asked for."""

_CGROUPS: Final = Path("/sys/fs/cgroup")
_MEMBERSHIP: Final = Path("/proc/self/cgroup")


def default_workers() -> int:
    """Return the number of workers for this machine: its usable CPUs, from 2 to 8."""
    return min(max(usable_cpus(), MIN_WORKERS), MAX_WORKERS)


def usable_cpus(*, cgroups: Path = _CGROUPS, membership: Path = _MEMBERSHIP) -> int:
    """Return the CPUs left after affinity and the quotas of control groups, at least 1.

    A container with a quota of 1.5 CPUs on a machine of 64 sees 64 in `os.cpu_count()`; here it
    is 2.
    """
    cpus = _affinity()
    for folder in _cgroup_folders(cgroups, membership):
        quota = _find_quota(folder)
        if quota is not None:
            cpus = min(cpus, math.ceil(quota))
    return max(cpus, 1)


def _affinity() -> int:
    # macOS has no affinity.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cgroup_folders(cgroups: Path, membership: Path) -> Iterator[Path]:
    """Yield the folder of each group this process is in, and of every group around it.

    Lines of the membership file are `number:controllers:path`; version 2 has one, `0::path`. In a
    container the path may be that of the host, which is not visible there: missing folders are
    skipped, and the root is always looked at.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = cgroups / "cpu" if controllers else cgroups
        folder = root / path.lstrip("/")
        yield folder
        while folder not in {root, folder.parent}:
            folder = folder.parent
            yield folder


def _find_quota(folder: Path) -> float | None:
    """Return the quota of one group in CPUs, None when it has none."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii")
            period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii")
        cpus = int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        # No such file, or "max": no limit.
        return None
    return cpus if cpus > 0 else None
