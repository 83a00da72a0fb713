"""`StaticFiles`: from a request to the file or the refusal that answers it."""
# ruff: noqa: PTH112, PTH118 - paths stay text, as in the URL: that is what is compared

from __future__ import annotations

import os
import stat
import time
from typing import Literal, NamedTuple, TypeAlias

from framework._defaults import MAX_STATIC_CACHE_BYTES, STATIC_CHUNK_BYTES
from framework._http.conditional import is_unchanged
from framework._http.paths import build_location, get_route_path
from framework.concurrency import file_threads
from framework.datastructures import Headers
from framework.exceptions import HTTPException
from framework.responses import RedirectResponse, Response
from framework.responses.files import takes_path
from framework.staticfiles._directories import (
    PathLike,
    examine_sibling,
    find_package_directory,
    look_up,
)
from framework.staticfiles._found import ABSENT, Found, FoundPath, HeldFile
from framework.staticfiles._memory import Entry, FileMemory
from framework.staticfiles._responses import NotModifiedResponse, StaticFileResponse
from framework.staticfiles._rules import (
    SUFFIXES,
    CacheRule,
    accepts_page,
    build_cache_rule,
    is_hidden,
    may_be_page,
    rank_codings,
)
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocketClose

__all__ = ["StaticFiles"]

# A path as `get_path` gives it, and the codings that the client takes: what a file is found by.
_Key: TypeAlias = tuple[str, tuple[str, ...]]


class _Wanted(NamedTuple):
    """What a request wants to be found."""

    codings: tuple[str, ...]
    # Bytes to read at once of a file that is too large for memory; None when none will be read.
    ahead: int | None
    # Whether such a file stays open: not when the client may have it already.
    keep: bool
    # Whether a browser goes to a page of its application.
    navigates: bool
    # What is in memory.
    known: Found | None


class StaticFiles:
    """Serve the files below `directory` and below directories of installed packages.

    Nothing outside of them is served: not by `..`, not by an absolute path, and not through a symbolic
    link unless `follow_symlink` is set. What cannot be a file is a 404; what may not be read is a 401.

    Small files are sent from memory. A change on the disk is noticed within `STATIC_FRESH_SECONDS`
    (0.1 s); a file that has changed within the last `STATIC_SETTLED_SECONDS` (2 s) is read each time. A
    subclass with a `lookup_path` of its own is asked each time too.

    Args:
        directory: asked first.
        packages: names of packages that have a directory `statics`, or pairs of a name and another
            directory in that package; asked in order.
        html: answer for a directory with its `index.html`, and where nothing is found with
            `404.html` of the first directory that has one.
        check_dir: check now, not in the first request, that `directory` is there.
        follow_symlink: follow symbolic links that lead out of the directories.
        precompressed: send `app.js.br`, `.zst` or `.gz` beside `app.js` to clients that take it, but
            not one that is older than `app.js`, and not where a range is asked for.
        cache_control: the `Cache-Control` of files: a text, for which files with a hash in the name
            (`app.3f2a91bc.js`) are `immutable` for a year instead; or what returns it, or None, for the
            path below the directory. 404 has none.
        spa: `html`, and where nothing is found the `index.html` at the top for a browser that goes to
            a page: it asks for `text/html`, and the last part of the path has no dot.
        dotfiles: "deny" makes a 404 of names that begin with a dot, except `.well-known` at the top,
            and of those editors leave behind (`a~`, `#a#`); "allow" serves them.
        cache_bytes: content to keep in memory, in bytes; 0 keeps nothing.

    Raises:
        RuntimeError: a directory or package does not exist; without `check_dir`, in a request.
        ValueError: an option that is none.
    """

    def __init__(
        self,
        *,
        directory: PathLike | None = None,
        packages: list[str | tuple[str, str]] | None = None,
        html: bool = False,
        check_dir: bool = True,
        follow_symlink: bool = False,
        precompressed: bool = False,
        cache_control: str | CacheRule | None = None,
        spa: bool = False,
        dotfiles: Literal["deny", "allow"] = "deny",
        cache_bytes: int = MAX_STATIC_CACHE_BYTES,
    ) -> None:
        if dotfiles not in ("deny", "allow"):
            raise ValueError(f"dotfiles={dotfiles!r}: use 'deny' or 'allow'")
        if cache_bytes < 0:
            raise ValueError(f"cache_bytes={cache_bytes!r} must not be negative; 0 keeps nothing")
        self.directory = directory
        self.packages = packages
        self.all_directories = self.get_directories(directory, packages)
        self.html = html or spa
        self.config_checked = False
        self.follow_symlink = follow_symlink
        self.precompressed = precompressed
        self.spa = spa
        self.dotfiles = dotfiles
        self._cache_rule = build_cache_rule(cache_control)
        looks_up_itself = type(self).lookup_path is not StaticFiles.lookup_path
        self._memory = FileMemory(0 if looks_up_itself else cache_bytes)
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
        return [*directories, *map(find_package_directory, packages or [])]

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
        key = (path, self._choose_codings(scope))
        entry = self._memory.get(key)
        if entry is not None and not entry.is_due():
            found = entry.found
        else:
            found = await self._look_up(key, entry, scope)
        if found.is_index and not scope["path"].endswith("/"):
            # Relative links on the page begin at the directory.
            return RedirectResponse(build_location(scope["path"] + "/", scope))
        response = self._respond(found, scope)
        if self.spa and (found.is_fallback or found.is_missing_page) and may_be_page(path):
            response.headers.add_vary_header("Accept")
        return response

    def _respond(self, found: Found, scope: Scope) -> Response:
        if found.is_missing_page:
            return StaticFileResponse(found.path, 404, {}, found.stat_result)
        return self.file_response(found.path, found.stat_result, scope)

    def _choose_codings(self, scope: Scope) -> tuple[str, ...]:
        if not self.precompressed:
            return ()
        headers = Headers(scope=scope)
        # Ranges count bytes of the file itself: whoever asks for one may have got others from there.
        if "range" in headers:
            return ()
        return rank_codings(", ".join(headers.getlist("accept-encoding")))

    async def _look_up(self, key: _Key, entry: Entry | None, scope: Scope) -> Found:
        """Look at the disk, in one hop to a thread, and keep what is found.

        Raises:
            HTTPException: 401 or 404.
        """
        path, _ = key
        looked = time.monotonic()
        found = None
        try:
            found = await file_threads.run(self._find, path, self._read_wishes(key, entry, scope))
        except PermissionError:
            raise HTTPException(401) from None
        except ValueError:  # NUL, or what the encoding of the system does not have
            pass
        finally:
            if found is None:
                self._memory.drop(key)
        if found is None:
            varies = self.spa and may_be_page(path)
            raise HTTPException(404, headers={"Vary": "Accept"} if varies else None)
        if not (found.is_fallback or found.is_missing_page):
            self._memory.put(key, found, looked)
        return found

    def _read_wishes(self, key: _Key, entry: Entry | None, scope: Scope) -> _Wanted:
        path, codings = key
        headers = Headers(scope=scope)
        ahead: int | None = STATIC_CHUNK_BYTES
        if scope["method"] == "HEAD":
            ahead = None
        elif "range" in headers:
            ahead = 0  # the beginning may not be wanted
        elif takes_path(scope):
            ahead = None
        is_conditional = "if-none-match" in headers or "if-modified-since" in headers
        return _Wanted(
            codings,
            ahead,
            keep=ahead is None or not is_conditional,
            navigates=self.spa
            and may_be_page(path)
            and accepts_page(", ".join(headers.getlist("accept"))),
            known=None if entry is None else entry.found,
        )

    def _find(self, path: str, wanted: _Wanted) -> Found | None:
        """Look up and open what answers: the file, an index, a fallback or the page for nothing.

        PERF: one hop to a thread for all of it, instead of one for each look-up, one to open the file
        and one to read it.
        """
        is_directory = False
        if self.dotfiles == "allow" or not is_hidden(path):
            found, is_directory = self._load(path, wanted)
            if found is not None:
                return found
        if is_directory and self.html:
            found, _ = self._load(os.path.join(path, "index.html"), wanted)
            if found is not None:
                return found._replace(is_index=True)
        if wanted.navigates:
            found, _ = self._load("index.html", wanted)
            if found is not None:
                return found._replace(is_fallback=True)
        if self.html:
            found, _ = self._load("404.html", wanted._replace(codings=()))
            if found is not None:
                return found._replace(is_missing_page=True)
        return None

    def _load(self, name: str, wanted: _Wanted) -> tuple[Found | None, bool]:
        """Return the file of this name, open, or None; and whether the name is a directory's."""
        full_path, result = self.lookup_path(name)
        if result is None or not stat.S_ISREG(result.st_mode):
            return None, result is not None and stat.S_ISDIR(result.st_mode)
        root = full_path.root if isinstance(full_path, FoundPath) else None
        for coding in (*wanted.codings, None):
            sent, described = full_path, result
            if coding is not None:
                sent = full_path + SUFFIXES[coding]
                sibling = examine_sibling(sent, result, follow=self.follow_symlink)
                if sibling is None:
                    continue
                described = sibling
            if wanted.known is not None and wanted.known.is_still(sent, coding, described):
                return wanted.known, False
            held = HeldFile(name, sent, root, coding)
            try:
                described = held.load(described.st_size, wanted.ahead, keep=wanted.keep)
            except OSError as exc:
                if coding is None and exc.errno not in ABSENT:
                    raise
                continue
            return Found(FoundPath(full_path, root, held), described), False
        return None, False

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Return the full path and what is known of it, `("", None)` for what is not there.

        Blocks: call it in a thread.

        Raises:
            PermissionError: a directory on the way may not be searched.
            ValueError: no file can have this name.
        """
        return look_up(path, self.all_directories, follow=self.follow_symlink)

    def file_response(
        self,
        full_path: PathLike,
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return the file, or 304 when the client has it already."""
        response = self._build_response(full_path, stat_result, status_code)
        # RFC 9110 section 13.2.1: conditions are about what would otherwise succeed.
        if status_code == 200 and self.is_not_modified(response.headers, Headers(scope=scope)):
            return NotModifiedResponse(response.headers)
        return response

    def _build_response(
        self, full_path: PathLike, stat_result: os.stat_result, status_code: int
    ) -> StaticFileResponse:
        held = full_path.held if isinstance(full_path, FoundPath) else None
        if held is not None and held.model is not None and status_code == 200:
            model: StaticFileResponse = held.model
            return model.renew(held)
        fields = self._build_fields(full_path, status_code)
        response = StaticFileResponse(full_path, status_code, fields, stat_result)
        if held is not None and held.is_in_memory and status_code == 200:
            held.model = response.renew(None)
        return response

    def _build_fields(self, full_path: PathLike, status_code: int) -> dict[str, str]:
        """Return the fields of a response that do not come from the file."""
        held = full_path.held if isinstance(full_path, FoundPath) else None
        fields: dict[str, str] = {}
        if held is not None and held.coding is not None:
            fields |= {"content-encoding": held.coding, "accept-ranges": "none"}
        if self.precompressed:
            fields["vary"] = "Accept-Encoding"
        if self._cache_rule is not None and status_code == 200:
            name = os.fspath(full_path) if held is None else held.name
            policy = self._cache_rule(name.replace(os.sep, "/"))
            if policy is not None:
                fields["cache-control"] = policy
        return fields

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
