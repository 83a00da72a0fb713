"""What a look-up has found: a path that carries the open file, or its content."""
# ruff: noqa: PTH206 - paths stay text, as in the URL: that is what is compared

from __future__ import annotations

import errno
import io
import os
import stat
from typing import Any, Final, NamedTuple, Self

from framework._defaults import STATIC_CHUNK_BYTES
from framework.exceptions import HTTPException
from framework.responses._open_file import OPEN_FLAGS, MemoryFile, OpenFile

# How a system says that there is no such file, or that no file can have this name.
ABSENT: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EILSEQ,
        errno.EINVAL,
    }
)
_HAS_DIR_FD: Final = os.open in os.supports_dir_fd
_STEP_FLAGS: Final = (
    getattr(os, "O_PATH", os.O_RDONLY)
    | getattr(os, "O_DIRECTORY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


class FoundPath(str):
    """The full path of a file, as `lookup_path` returns it, and what else is known of the file.

    It is text so that subclasses of `StaticFiles` handle it as they always did; text of their own
    works in its place.
    """

    __slots__ = ("held", "root")

    # The directory that the path must not lead out of; None when links are followed.
    root: str | None
    held: HeldFile | None

    def __new__(cls, path: str, root: str | None = None, held: HeldFile | None = None) -> Self:
        found = super().__new__(cls, path)
        found.root = root
        found.held = held
        return found


class HeldFile:
    """What is sent for a path: the file itself, or a compressed sibling of it.

    Args:
        name: the path below the directory, which rules about names go by.
        path: what is opened: a full path, resolved unless links are followed.
        root: see `FoundPath`.
        coding: the content coding of the sibling, None for the file itself.
    """

    __slots__ = ("coding", "file", "model", "name", "path", "root")

    def __init__(self, name: str, path: str, root: str | None, coding: str | None) -> None:
        self.name = name
        self.path = path
        self.root = root
        self.coding = coding
        self.file: MemoryFile | FoundFile | None = None
        # A response of a file in memory, whose header fields the others take over.
        self.model: Any = None

    @property
    def is_in_memory(self) -> bool:
        """Whether any number of responses may read the file without touching the disk."""
        return isinstance(self.file, MemoryFile)

    def load(self, size: int, ahead: int | None, *, keep: bool) -> os.stat_result:
        """Open the file, read its beginning, and all of it when it is a small one. Blocks.

        Args:
            size: what the file is expected to have, in bytes.
            ahead: bytes to read of one that is too large for memory; None when none will be read.
            keep: whether such a one stays open.

        Raises:
            OSError: it has gone or may not be read.
        """
        file = FoundFile(self.path, self.root)
        is_small = size <= STATIC_CHUNK_BYTES
        result = file.open_now(STATIC_CHUNK_BYTES if is_small else ahead)
        content = file.content
        if content is not None:
            self.file = MemoryFile(content, result)
        elif keep and not is_small:
            self.file = file
        return result

    def take_file(self) -> MemoryFile | FoundFile:
        """Return what a response reads from; what is not in memory is handed out once."""
        file = self.file
        if isinstance(file, MemoryFile):
            return file
        self.file = None
        return FoundFile(self.path, self.root) if file is None else file


class FoundFile(OpenFile):
    """A file that was there a moment ago, below a root.

    It is closed with its last owner, as not every response is sent.

    Args:
        path: a full path, resolved unless links are followed.
        root: see `FoundPath`.

    Raises:
        HTTPException: from `open`: 404 when it has gone, 401 when it may not be read.
    """

    __slots__ = ("root",)

    def __init__(self, path: str | os.PathLike[str], root: str | None) -> None:
        super().__init__(path)
        self.root = root

    async def open(self, ahead: int | None) -> os.stat_result:
        """Open the file, unless it is open, and return what is known of it."""
        try:
            return await super().open(ahead)
        except PermissionError:
            raise HTTPException(401) from None
        except OSError as exc:
            if exc.errno in ABSENT:
                raise HTTPException(404) from None
            raise

    def _open_regular(self) -> io.FileIO:
        return io.FileIO(self.path, opener=self._open_descriptor)

    def _open_descriptor(self, path: str, flags: int) -> int:
        flags |= OPEN_FLAGS
        descriptor = open_beneath(self.root, path, flags) if self.root else os.open(path, flags)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def __del__(self) -> None:
        if self._file is not None:
            self._file.close()


def open_beneath(root: str, path: str, flags: int) -> int:
    """Open a resolved path step by step from its root, so that no step is a symbolic link.

    A directory that becomes a link after it was looked at leads nowhere (CWE-367). Where the system
    has no `openat`, the path is opened as it is.

    Raises:
        OSError: as `os.open`; `ELOOP` or `ENOTDIR` for a link.
    """
    steps = path[len(root) :].strip(os.sep).split(os.sep)
    if not _HAS_DIR_FD or not steps[0]:
        return os.open(path, flags)
    place = os.open(root, _STEP_FLAGS)
    try:
        for step in steps[:-1]:
            inner = os.open(step, _STEP_FLAGS, dir_fd=place)
            os.close(place)
            place = inner
        return os.open(steps[-1], flags | getattr(os, "O_NOFOLLOW", 0), dir_fd=place)
    finally:
        os.close(place)


class Found(NamedTuple):
    """The answer to a path."""

    path: FoundPath
    stat_result: os.stat_result
    # Whether this is the `index.html` of the directory that was asked for.
    is_index: bool = False
    # Whether this is the page of an application in the browser, which knows the path.
    is_fallback: bool = False
    # Whether this is the page that says that nothing was found.
    is_missing_page: bool = False

    def is_still(self, path: str, coding: str | None, result: os.stat_result) -> bool:
        """Say whether a file that is found again is this very one, unchanged."""
        held = self.path.held
        return (
            held is not None
            and held.path == path
            and held.coding == coding
            and sign(result) == sign(self.stat_result)
        )


def sign(result: os.stat_result) -> tuple[int, ...]:
    """Return what no change of a file leaves as it is; ctime tells of rights and restored ages too."""
    return (
        result.st_dev,
        result.st_ino,
        result.st_size,
        result.st_mtime_ns,
        result.st_ctime_ns,
    )
