"""Who this process is (worker slot, pid) and what it uses (memory, open descriptors)."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any, Final

__all__ = [
    "WORKER_PID_VARIABLE",
    "WORKER_SLOT_VARIABLE",
    "count_open_fds",
    "file_identifier",
    "log_fields",
    "name_process",
    "read_resident_bytes",
    "take_slot",
    "worker_slot",
]

WORKER_SLOT_VARIABLE: Final = "SLIPWAY_WORKER_SLOT"
"""Set by the server in each worker: a number from 0 that outlives the pid of the worker."""

WORKER_PID_VARIABLE: Final = "SLIPWAY_WORKER_PID"
"""Set with it: the process that has the slot; what that process starts inherits both variables."""

_FD_DIRECTORIES: Final = ("/proc/self/fd", "/dev/fd")
_STATM: Final = Path("/proc/self/statm")


class _Identity:
    """Slot and pid of this process, looked up once.

    A slot belongs to one process. What a worker forks or starts (a pool of processes does either)
    inherits the environment but not the slot: two writers of one metrics file would corrupt it.
    """

    __slots__ = ("fields", "may_own", "name", "pid", "slot")

    def __init__(self) -> None:
        self.slot: str | None = None
        self.name: str | None = None
        self.may_own = True
        self.read_pid()

    def read_pid(self) -> None:
        self.pid = os.getpid()
        self.fields: dict[str, Any] = {"pid": self.pid}

    def after_fork(self) -> None:
        self.may_own = self.may_own and self.slot is None
        self.slot = self.name = None
        self.read_pid()

    def look_up(self) -> None:
        # A server forks first and sets the variable then, so "not a worker" is never final.
        slot = os.environ.get(WORKER_SLOT_VARIABLE, "")
        owner = os.environ.get(WORKER_PID_VARIABLE, str(self.pid))
        if self.may_own and slot.isdecimal() and owner == str(self.pid):
            self.slot = slot
            self.fields = {"worker_slot": int(slot), "pid": self.pid}


_identity = _Identity()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_identity.after_fork)


def take_slot(slot: int) -> None:
    """Make this process the worker with this slot; no other living process may have it."""
    os.environ[WORKER_SLOT_VARIABLE] = str(slot)
    os.environ[WORKER_PID_VARIABLE] = str(_identity.pid)


def worker_slot() -> str | None:
    """Return the slot of this worker, None in a process that is not a worker."""
    if _identity.slot is None:
        _identity.look_up()
    return _identity.slot


def log_fields() -> dict[str, Any]:
    """Return what every log line of this process carries: `worker_slot` (workers only) and `pid`."""
    if _identity.slot is None:
        _identity.look_up()
    return _identity.fields


def file_identifier() -> str | None:
    """Return the name of this process in the file names of its metrics: the slot of a worker.

    Files are bounded by the number of slots, however often workers are replaced. A process without a
    slot has the name that `name_process` gave it, or none: see `claim_name`.
    """
    return worker_slot() or _identity.name


def name_process(name: str) -> None:
    """Name this process, which is no worker, in the file names of its metrics.

    Args:
        name: letters and digits, not only digits; no other living process has it.
    """
    _identity.name = name


def read_resident_bytes() -> int:
    """Return the resident memory of this process in bytes; its peak where there is no `/proc`."""
    try:
        return int(_STATM.read_bytes().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def count_open_fds() -> int | None:
    """Return the number of open descriptors of this process, None where the system does not tell."""
    for directory in _FD_DIRECTORIES:
        try:
            entries = os.listdir(directory)  # noqa: PTH208 -- names only, and one call
        except OSError:
            continue
        return len(entries) - 1  # without the descriptor of the listing itself
    return None
