"""The responses of `StaticFiles`: a file that was found, and 304."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self

from framework._defaults import STATIC_CHUNK_BYTES
from framework.datastructures import Headers, MutableHeaders
from framework.responses import FileResponse, Response
from framework.responses._open_file import MemoryFile
from framework.staticfiles._found import FoundFile, FoundPath, HeldFile


class NotModifiedResponse(Response):
    """304, with those of the given headers that caches need (RFC 9110 section 15.4.5)."""

    NOT_MODIFIED_HEADERS = (
        "cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "vary",
    )

    def __init__(self, headers: Headers) -> None:
        super().__init__(status_code=304)
        for name, value in headers.items():
            if name.lower() in self.NOT_MODIFIED_HEADERS:
                self.headers.append(name, value)


class StaticFileResponse(FileResponse):
    """Send a file that a look-up has found, from memory or from where it is open already.

    Args:
        path: a `FoundPath`, or a path that a subclass of `StaticFiles` has chosen itself.
        headers: fields besides those of the file.
        stat_result: of what is sent.

    Raises:
        HTTPException: when it is sent: 404 for a file that has gone, 401 for one that may not be read.
    """

    chunk_size = STATIC_CHUNK_BYTES

    def __init__(
        self,
        path: str | os.PathLike[str],
        status_code: int,
        headers: Mapping[str, str],
        stat_result: os.stat_result,
    ) -> None:
        held, root = (path.held, path.root) if isinstance(path, FoundPath) else (None, None)
        self._held = held
        self._root = root
        self._coding = None if held is None else held.coding
        self._described: os.stat_result | None = None
        super().__init__(path, status_code, headers, stat_result=stat_result)
        if held is not None:
            self.path = held.path

    def renew(self, held: HeldFile | None) -> Self:
        """Return a response of the same file with the same header fields, to be changed and sent.

        PERF: a file in memory has its content type guessed and its fields built and checked once. They
        depend on nothing but the file and the options.
        """
        raw = list(self.raw_headers)
        response = object.__new__(type(self))
        vars(response).update(
            vars(self), _held=held, raw_headers=raw, _headers=MutableHeaders(raw=raw)
        )
        return response

    def set_stat_headers(self, stat_result: os.stat_result) -> None:
        """Set the headers of the file, once; a compressed sibling has a tag of its own."""
        if stat_result is self._described:
            return
        self._described = stat_result
        super().set_stat_headers(stat_result)
        etag = self._stat_headers["etag"]
        if self._coding is not None and self.headers.get("etag") == etag:
            etag = f'{etag[:-1]}-{self._coding}"'
            self._stat_headers["etag"] = self.headers["etag"] = etag

    def _take_file(self) -> MemoryFile | FoundFile:
        if self._held is not None:
            return self._held.take_file()
        return FoundFile(self.path, self._root)
