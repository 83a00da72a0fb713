"""Folders that the processes of one user share on a machine, and nobody else."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["build_private_path", "make_private"]

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folders in it are private and checked


def build_private_path(name: str) -> Path:
    """Return the path of a folder of this user, in memory where the system has such a place.

    Nothing is made: see `make_private`.
    """
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    return parent / f"{name}-{os.getuid()}"


def make_private(folder: Path) -> None:
    """Make a folder that only this user can use, or see that it is one.

    Raises:
        RuntimeError: others can use it.
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    # APPSEC: in a folder that all users share, another one may have made it first.
    if not is_private or found.st_uid != os.getuid():
        raise RuntimeError(
            f"{str(folder)!r} is not a folder that only this user can use: remove it"
        )
