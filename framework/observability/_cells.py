"""The numbers behind metrics: in files of this process, or in its memory without a metrics directory.

It takes the place of the classes that the client library has for this. Those name files after pids, take a
lock and copy sixteen bytes for each of the numbers that a request changes, and let a full disk fail it.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import MutableSequence
from typing import Any, Final

from prometheus_client import values
from prometheus_client.mmap_dict import mmap_key

from framework.observability._metrics_file import MetricsFile, claim_name
from framework.observability.logging import get_logger
from framework.observability.process import file_identifier

__all__ = ["MULTIPROCESS_DIRECTORY_VARIABLE", "Cell", "CellStore", "store"]

MULTIPROCESS_DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

_log = get_logger(__name__)


class Cell:
    """One number of a metric; the client library makes it with these arguments.

    Whoever changes several at once takes `store.lock`, makes sure that `store` is attached, and writes
    `cell.cells[cell.index]`. Such a write is one aligned store of eight bytes: a reader never sees half.
    """

    __slots__ = ("__weakref__", "cells", "index", "key", "prefix")

    def __init__(
        self,
        kind: str,
        metric_name: str,
        name: str,
        labelnames: Any,
        labelvalues: Any,
        help_text: str,
        multiprocess_mode: str = "",
        **_: Any,
    ) -> None:
        self.prefix = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        self.key = mmap_key(metric_name, name, labelnames, labelvalues, help_text).encode()
        self.cells: MutableSequence[float] | memoryview[float] = [0.0, 0.0]
        self.index = 0
        store.add(self)

    def inc(self, amount: float = 1.0) -> None:
        """Add to the number."""
        with store.lock:
            if not store.is_attached:
                store.attach()
            self.cells[self.index] += amount

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number."""
        with store.lock:
            if not store.is_attached:
                store.attach()
            self.cells[self.index] = value
            if timestamp is not None:
                self.cells[self.index + 1] = timestamp

    def get(self) -> float:
        """Return the number."""
        with store.lock:
            if not store.is_attached:
                store.attach()
            return self.cells[self.index]

    def set_exemplar(self, exemplar: object) -> None:
        """Do nothing: the text format has no exemplars."""

    def get_exemplar(self) -> None:
        """Return None, as there are none."""


class CellStore:
    """All cells of this process and the files that they are in.

    A process that is forked has the cells of its parent. Before it writes the first time they get places
    in files of its own: two writers of one file would corrupt it.
    """

    def __init__(self) -> None:
        # A signal handler or the garbage collector may count while this thread holds it.
        self.lock = threading.RLock()
        self.is_attached = True
        self._cells: weakref.WeakSet[Cell] = weakref.WeakSet()
        self._files: dict[str, MetricsFile | None] = {}
        self._names: dict[str, tuple[str, int] | None] = {}
        """Those that this process has claimed, with their locks, by directory; None when it could not."""
        self._has_warned = False

    def add(self, cell: Cell) -> None:
        """Give a cell its place."""
        with self.lock:
            self._cells.add(cell)
            if self.is_attached:
                self._place(cell)

    def attach(self) -> None:
        """Give all cells places in the files of this process."""
        with self.lock:
            self.is_attached = True
            for cell in list(self._cells):
                self._place(cell)

    def move(self) -> None:
        """Give all cells places in the files that the environment names now; what they have moves too."""
        with self.lock:
            values = [(cell, cell.cells[cell.index]) for cell in list(self._cells)]
            self.attach()
            for cell, value in values:
                is_gauge = cell.prefix.startswith("gauge")
                cell.cells[cell.index] = value if is_gauge else cell.cells[cell.index] + value

    def has_room(self, prefix: str, key: bytes, limit: int) -> bool:
        """Say whether a key is in its file, or fewer than `limit` with the same name.

        They count that the workers before this one have left there.
        """
        with self.lock:
            if not self.is_attached:
                self.attach()
            file = self._find_file(prefix)
            return file is None or file.has_room(key, limit)

    def detach(self) -> None:
        """Leave the files to the parent process; for a child that has just been forked."""
        self.lock = threading.RLock()
        self.is_attached = False
        self._has_warned = False
        files, self._files = self._files, {}
        for file in files.values():
            if file is not None:
                file.close()
        names, self._names = self._names, {}
        for claim in names.values():
            if claim is not None:
                os.close(claim[1])

    def _place(self, cell: Cell) -> None:
        file = self._find_file(cell.prefix)
        if file is not None:
            try:
                cell.cells, cell.index = file.find_place(cell.key)
            except OSError as exc:
                self._warn(file.path, exc)
            else:
                return
        cell.cells, cell.index = [0.0, 0.0], 0

    def _find_file(self, prefix: str) -> MetricsFile | None:
        # Read for each cell: the order of imports and settings is then irrelevant.
        directory = os.environ.get(MULTIPROCESS_DIRECTORY_VARIABLE)
        if not directory:
            return None
        name = self._find_name(directory)
        if name is None:
            return None
        path = f"{directory}/{prefix}_{name}.db"
        if path not in self._files:
            self._files[path] = None  # should it fail, it is not tried for each cell
            try:
                # What a dead process had in a live gauge does not count any more.
                is_continued = not prefix.startswith("gauge_live")
                self._files[path] = MetricsFile(path, is_continued=is_continued)
            except OSError as exc:
                self._warn(path, exc)
        return self._files[path]

    def _find_name(self, directory: str) -> str | None:
        name = file_identifier()
        if name is not None:
            return name
        if directory not in self._names:
            self._names[directory] = None  # should it fail, it is not tried for each cell
            try:
                self._names[directory] = claim_name(directory)
            except OSError as exc:
                self._warn(directory, exc)
        claim = self._names[directory]
        return claim and claim[0]

    def _warn(self, path: str, exc: OSError) -> None:
        """Say once that the directory is full or gone: requests matter more than counts."""
        if not self._has_warned:
            self._has_warned = True
            reason = exc.strerror or str(exc)
            _log.warning("metrics not written", path=path, reason=reason)


store: Final = CellStore()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=store.detach)

values.ValueClass = Cell
