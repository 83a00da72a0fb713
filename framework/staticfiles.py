"""`StaticFiles`: the files below directories, as an ASGI application."""
# ruff: noqa: PTH112, PTH116, PTH118 - paths stay text, as in the URL: that is what is compared

from __future__ import annotations

import errno
import importlib.util
import os
import stat
from typing import Final, NamedTuple, TypeAlias

from framework._http.conditional import is_unchanged
from framework._http.paths import build_location, get_route_path
from framework.concurrency import file_threads
from framework.datastructures import Headers
from framework.exceptions import HTTPException
from framework.responses import FileResponse, RedirectResponse, Response
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocketClose

__all__ = [
    "NotModifiedResponse",
    "StaticFiles",
]

PathLike: TypeAlias = str | os.PathLike[str]

# How a system says that there is no such file, or that no file can have this name.
_ABSENT: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EILSEQ,
        errno.EINVAL,
    }
)
# Ask for the user that files are opened as, where the system tells that user from the real one.
_BY_EFFECTIVE_IDS: Final = os.access in os.supports_effective_ids


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


class _Found(NamedTuple):
    path: str
    stat_result: os.stat_result
    # Whether this is the `index.html` of the directory that was asked for.
    is_index: bool = False
    # Whether this is the page that says that nothing was found.
    is_missing_page: bool = False


class StaticFiles:
    """Serve the files below `directory` and below directories of installed packages.

    Nothing outside of them is served: not by `..`, not by an absolute path, and not through a symbolic
    link unless `follow_symlink` is set. What cannot be a file is a 404; what may not be read is a 401.

    Args:
        directory: asked first.
        packages: names of packages that have a directory `statics`, or pairs of a name and another
            directory in that package; asked in order.
        html: answer for a directory with its `index.html`, and where nothing is found with
            `404.html` of the first directory that has one.
        check_dir: check now, not in the first request, that `directory` is there.
        follow_symlink: follow symbolic links that lead out of the directories.

    Raises:
        RuntimeError: a directory or package does not exist; without `check_dir`, in a request.
    """

    def __init__(
        self,
        *,
        directory: PathLike | None = None,
        packages: list[str | tuple[str, str]] | None = None,
        html: bool = False,
        check_dir: bool = True,
        follow_symlink: bool = False,
    ) -> None:
        self.directory = directory
        self.packages = packages
        self.all_directories = self.get_directories(directory, packages)
        self.html = html
        self.config_checked = False
        self.follow_symlink = follow_symlink
        if check_dir and directory is not None and not os.path.isdir(directory):
            raise RuntimeError(
                f"Directory '{directory}' does not exist; create it or pass check_dir=False"
            )

    def get_directories(
        self,
        directory: PathLike | None = None,
        packages: list[str | tuple[str, str]] | None = None,
    ) -> list[PathLike]:
        """Return all directories to look in, in order.

        Raises:
            RuntimeError: a package does not exist or has no such directory.
        """
        directories = [] if directory is None else [directory]
        return [*directories, *map(_find_package_directory, packages or [])]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        if scope["type"] != "http":
            raise RuntimeError(f"StaticFiles answers HTTP requests, not {scope['type']!r}")
        if not self.config_checked:
            await self.check_config()
            self.config_checked = True
        response = await self.get_response(self.get_path(scope), scope)
        await response(scope, receive, send)

    def get_path(self, scope: Scope) -> str:
        """Return the path to look up: relative, with the separators of the system, normalised."""
        return os.path.normpath(os.path.join(*get_route_path(scope).split("/")))

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the response for a path as `get_path` gives it.

        Raises:
            HTTPException: 405, 401 or 404.
            OSError: the system cannot read its disk.
        """
        if scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        try:
            found = await file_threads.run(self._find, path)
        except PermissionError:
            raise HTTPException(401) from None
        except ValueError:  # NUL, or what the encoding of the system does not have
            raise HTTPException(404) from None
        if found is None:
            raise HTTPException(404)
        if found.is_missing_page:
            return FileResponse(found.path, 404, stat_result=found.stat_result)
        if found.is_index and not scope["path"].endswith("/"):
            # Relative links on the page begin at the directory.
            return RedirectResponse(build_location(scope["path"] + "/", scope))
        return self.file_response(found.path, found.stat_result, scope)

    def _find(self, path: str) -> _Found | None:
        """Look everything up that may answer for a path: one hop to a thread instead of three."""
        full_path, result = self.lookup_path(path)
        if result is not None and stat.S_ISREG(result.st_mode):
            return _Found(full_path, result)
        if not self.html:
            return None
        if result is not None and stat.S_ISDIR(result.st_mode):
            full_path, result = self.lookup_path(os.path.join(path, "index.html"))
            if result is not None and stat.S_ISREG(result.st_mode):
                return _Found(full_path, result, is_index=True)
        full_path, result = self.lookup_path("404.html")
        if result is not None and stat.S_ISREG(result.st_mode):
            return _Found(full_path, result, is_missing_page=True)
        return None

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the full path and what is known of it, `("", None)` for what is not there.

        Blocks: call it in a thread.

        Raises:
            PermissionError: this process may not read it.
            ValueError: no file can have this name.
        """
        if path.startswith(("/", "\\")):
            return "", None
        resolve = os.path.abspath if self.follow_symlink else os.path.realpath
        for directory in self.all_directories:
            root = resolve(directory)
            full_path = resolve(os.path.join(root, path))
            if full_path != root and not full_path.startswith(root.rstrip(os.sep) + os.sep):
                continue
            try:
                return full_path, _examine(full_path)
            except OSError as exc:
                if exc.errno not in _ABSENT:
                    raise
        return "", None

    def file_response(
        self,
        full_path: PathLike,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return the file, or 304 when the client has it already."""
        response = FileResponse(full_path, status_code, stat_result=stat_result)
        # RFC 9110 section 13.2.1: conditions are about what would otherwise succeed.
        if status_code == 200 and self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    async def check_config(self) -> None:
        """Check once, in the first request, that `directory` is one: a wrong one is no mere 404.

        Raises:
            RuntimeError: it is not there or not a directory.
        """
        if self.directory is None:
            return
        try:
            result = await file_threads.run(os.stat, self.directory)
        except FileNotFoundError:
            raise RuntimeError(
                f"StaticFiles directory '{self.directory}' does not exist."
            ) from None
        if not stat.S_ISDIR(result.st_mode):
            raise RuntimeError(f"StaticFiles path '{self.directory}' is not a directory.")

    def is_not_modified(self, response_headers: Headers, request_headers: Headers) -> bool:
        """Say whether the request has conditions that ask for 304 instead of this response."""
        return is_unchanged(
            request_headers.get("if-none-match"),
            request_headers.get("if-modified-since"),
            response_headers.get("etag"),
            response_headers.get("last-modified"),
        )


def _examine(path: str) -> os.stat_result:
    result = os.stat(path)
    if stat.S_ISREG(result.st_mode) and not os.access(
        path, os.R_OK, effective_ids=_BY_EFFECTIVE_IDS
    ):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return result


def _find_package_directory(package: str | tuple[str, str]) -> str:
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
