"""`FileResponse`: a file, whole or in ranges."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from framework._defaults import FILE_CHUNK_BYTES, MAX_RANGES
from framework._http.conditional import allows_range, build_validators
from framework._http.disposition import build_content_disposition
from framework._http.ranges import ByteRange, parse_ranges
from framework.background import BackgroundTask
from framework.concurrency import file_threads
from framework.datastructures import Headers, MutableHeaders
from framework.exceptions import MalformedRangeHeader, RangeNotSatisfiable
from framework.responses._open_file import MemoryFile, OpenFile
from framework.responses._watching import run_while_connected, wait_for_disconnect
from framework.responses.base import DenialSend, PlainTextResponse, Response
from framework.responses.streaming import tells_disconnect
from framework.types import Receive, Scope, Send

__all__ = ["FileResponse"]

# What a body is made of: bytes as they are, and stretches of the file.
_Piece = bytes | ByteRange


class FileResponse(Response):
    """Send a file: `ETag`, `Last-Modified`, ranges (RFC 9110 section 14), HEAD, download names.

    Size, age and content come from one open file, so one that is replaced meanwhile does no harm. A
    file that shrinks while it is sent ends the connection: nobody must take a part for the whole.

    Args:
        path: the file; a relative path begins at the working directory.
        media_type: guessed from `filename` or `path` unless given.
        filename: the name to save the file under; sends `Content-Disposition`.
        stat_result: what is known of the file, to have its headers before it is sent.
        content_disposition_type: `attachment` or `inline`; matters only with `filename`.

    Raises:
        RuntimeError: when it is sent and `path` is missing or is not a regular file.
        ValueError: a header value that could not stand in the field as it is.
    """

    chunk_size = FILE_CHUNK_BYTES
    max_ranges = MAX_RANGES

    def __init__(
        self,
        path: str | os.PathLike[str],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
        filename: str | None = None,
        stat_result: os.stat_result | None = None,
        content_disposition_type: str = "attachment",
    ) -> None:
        self.path = path
        self.status_code = status_code
        self.filename = filename
        if media_type is None:
            media_type = mimetypes.guess_type(filename or path)[0] or "application/octet-stream"
        self.media_type = media_type
        self.background = background
        self.init_headers(headers)
        self.headers.setdefault("accept-ranges", "bytes")
        if filename is not None:
            disposition = build_content_disposition(content_disposition_type, filename)
            self.headers.setdefault("content-disposition", disposition)
        self.stat_result = stat_result
        self._stat_headers: dict[str, str] = {}
        if stat_result is not None:
            self.set_stat_headers(stat_result)

    def set_stat_headers(self, stat_result: os.stat_result) -> None:
        """Set the headers that size and age of the file decide, except those that were given."""
        etag, last_modified = build_validators(stat_result.st_mtime, stat_result.st_size)
        fields = {
            "content-length": str(stat_result.st_size),
            "last-modified": last_modified,
            "etag": etag,
        }
        headers = self.headers
        for name, value in fields.items():
            # What an earlier call has set goes: the file may be another one by now.
            if headers.setdefault(name, value) == self._stat_headers.get(name):
                headers[name] = value
        self._stat_headers = fields

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            send = DenialSend(send)
        file = self._take_file()
        try:
            refusal = await self._answer(file, scope, receive, send)
        finally:
            await file.aclose()
        if refusal is not None:
            await refusal(scope, receive, send)
        elif self.background is not None:
            await self.background()

    def _take_file(self) -> OpenFile | MemoryFile:
        """Return what to read from; `StaticFiles` has it open already."""
        return OpenFile(self.path)

    async def _answer(
        self, file: OpenFile | MemoryFile, scope: Scope, receive: Receive, send: Send
    ) -> Response | None:
        """Send the file; or return the response to send instead."""
        is_http = scope["type"] == "http"
        method = scope["method"].upper() if is_http else "GET"
        has_body = method != "HEAD"
        by_path = has_body and takes_path(scope) and not isinstance(file, MemoryFile)
        request = Headers(scope=scope)
        field = request.get("range") if self._takes_ranges(scope) else None
        # Where ranges are asked for, the beginning may not be among them.
        ahead = 0 if field else None if by_path or not has_body else self.chunk_size
        self.set_stat_headers(await file.open(ahead))
        ranges: list[ByteRange] = []
        if field and self._allows_range(request):
            try:
                ranges = parse_ranges(field, file.size, self.max_ranges)
            except MalformedRangeHeader as exc:
                return PlainTextResponse(exc.content, 400)
            except RangeNotSatisfiable as exc:
                return PlainTextResponse(None, 416, {"Content-Range": f"bytes */{exc.max_size}"})
        status, headers, pieces = self._select(ranges, file.size)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        if not has_body:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif by_path and not ranges:
            path = os.fspath(self.path)
            if not os.path.isabs(path):  # noqa: PTH117 - only text: no object for it
                path = await file_threads.run(os.path.abspath, path)
            await send({"type": "http.response.pathsend", "path": path})
        elif file.is_closed or not is_http or tells_disconnect(scope):
            await self._send_pieces(file, pieces, send)
        else:
            work = self._send_pieces(file, pieces, send)
            await run_while_connected(work, partial(wait_for_disconnect, receive))
        return None

    def _takes_ranges(self, scope: Scope) -> bool:
        # RFC 9110 section 14.2: ranges are defined for GET; HEAD answers as GET does.
        return (
            self.status_code == 200
            and scope["type"] == "http"
            and scope["method"].upper() in ("GET", "HEAD")
        )

    def _allows_range(self, request: Headers) -> bool:
        headers = self.headers
        return allows_range(
            request.get("if-range"), headers.get("etag"), headers.get("last-modified")
        )

    def _select(
        self, ranges: Sequence[ByteRange], size: int
    ) -> tuple[int, list[tuple[bytes, bytes]], list[_Piece]]:
        """Return status, header fields and body for the ranges; for all of the file without any."""
        if not ranges:
            return self.status_code, self.raw_headers, [(0, size)]
        headers = MutableHeaders(raw=list(self.raw_headers))
        if len(ranges) == 1:
            start, end = ranges[0]
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
            headers["content-length"] = str(end - start)
            return 206, headers.raw, [(start, end)]
        # As `secrets` has it, whose imports would take three milliseconds.
        boundary = os.urandom(13).hex()
        length, build_head = self.generate_multipart(
            ranges, boundary, size, headers.get("content-type", "application/octet-stream")
        )
        headers["content-type"] = f"multipart/byteranges; boundary={boundary}"
        headers["content-length"] = str(length)
        parts = ((build_head(*each), each, b"\r\n") for each in ranges)
        pieces: list[_Piece] = [piece for part in parts for piece in part]
        return 206, headers.raw, [*pieces, f"--{boundary}--".encode("latin-1")]

    async def _send_pieces(
        self, file: OpenFile | MemoryFile, pieces: Sequence[_Piece], send: Send
    ) -> None:
        for number, piece in enumerate(pieces, 1):
            is_last = number == len(pieces)
            if isinstance(piece, bytes):
                body = {"type": "http.response.body", "body": piece, "more_body": not is_last}
                await send(body)
                continue
            start, end = piece
            more_body = True
            while more_body:
                count = min(self.chunk_size, end - start)
                chunk = await file.read(start, count, is_last=is_last and count == end - start)
                start += len(chunk)
                more_body = start < end
                body = {
                    "type": "http.response.body",
                    "body": chunk,
                    "more_body": more_body or not is_last,
                }
                await send(body)

    def generate_multipart(
        self, ranges: Sequence[ByteRange], boundary: str, max_size: int, content_type: str
    ) -> tuple[int, Callable[[int, int], bytes]]:
        """Return the length of a multipart/byteranges body and what builds the head of each part.

        Args:
            ranges: first byte and the one behind the last, of each part.
            max_size: bytes of the whole file.
            content_type: of the file.
        """
        build_head = partial(_build_part_head, boundary, content_type, max_size)
        # A line end behind each part, two hyphens on each side of the last boundary.
        parts = sum(len(build_head(*each)) + each[1] - each[0] + 2 for each in ranges)
        return parts + len(boundary) + 4, build_head


def takes_path(scope: Scope) -> bool:
    """Say whether the server can send a file by its path (ASGI extension `http.response.pathsend`)."""
    return "http.response.pathsend" in scope.get("extensions", ()) and scope["type"] == "http"


def _build_part_head(
    boundary: str, content_type: str, max_size: int, start: int, end: int
) -> bytes:
    return (
        f"--{boundary}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Content-Range: bytes {start}-{end - 1}/{max_size}\r\n\r\n"
    ).encode("latin-1")
