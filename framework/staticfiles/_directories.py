"""Directories to look in: where they are, and what lies below them. All of it blocks."""
# ruff: noqa: PTH112, PTH116, PTH118 - paths stay text, as in the URL: that is what is compared

from __future__ import annotations

import importlib.util
import os
import stat
from collections.abc import Sequence
from typing import TypeAlias

from framework.staticfiles._found import ABSENT, FoundPath

PathLike: TypeAlias = str | os.PathLike[str]


def look_up(
    path: str, directories: Sequence[PathLike], *, follow: bool
) -> tuple[str, os.stat_result | None]:
    """Return the full path of a relative one in the first directory that has it, and its stat.

    Args:
        follow: whether symbolic links may lead out of the directories.

    Raises:
        PermissionError: a directory on the way may not be searched.
        ValueError: no file can have this name.
    """
    # A share of another machine is not even asked for (UNC paths of Windows).
    if path.startswith(("/", "\\")) or os.path.splitdrive(path)[0]:
        return "", None
    resolve = os.path.abspath if follow else os.path.realpath
    for directory in directories:
        root = resolve(directory)
        full_path = resolve(os.path.join(root, path))
        if full_path != root and not full_path.startswith(root.rstrip(os.sep) + os.sep):
            continue
        try:
            result = os.stat(full_path)
        except OSError as exc:
            if exc.errno not in ABSENT:
                raise
            continue
        return FoundPath(full_path, None if follow else root), result
    return "", None


def examine_sibling(path: str, source: os.stat_result, *, follow: bool) -> os.stat_result | None:
    """Return what is known of a compressed sibling; None when it is of no use or out of date."""
    try:
        result = os.stat(path, follow_symlinks=follow)
    except OSError:
        return None
    is_current = stat.S_ISREG(result.st_mode) and result.st_mtime_ns >= source.st_mtime_ns
    return result if is_current else None


def find_package_directory(package: str | tuple[str, str]) -> str:
    """Return the directory `statics`, or the named one, of an installed package.

    Raises:
        RuntimeError: the package does not exist or has no such directory.
    """
    name, statics = (package, "statics") if isinstance(package, str) else package
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"Package {name!r} could not be found; install it or correct its name")
    directory = os.path.normpath(os.path.join(spec.origin, "..", statics))
    if not os.path.isdir(directory):
        raise RuntimeError(
            f"Package {name!r} has no directory {statics!r} (looked for {directory})"
        )
    return directory
