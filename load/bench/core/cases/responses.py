"""Making and sending responses: text, headers and cookies, streams, files, background tasks."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

from load.bench.core.calls import measure_calls
from load.bench.core.case import Case
from load.bench.core.exchange import Request, measure_request
from load.bench.core.kit import Kit
from load.bench.measurements import Measurement

CHUNKS: Final = 100
CHUNK: Final = b"x" * 1_024
SMALL_FILE_BYTES: Final = 10_000
LARGE_FILE_BYTES: Final = 10_000_000
TEXT: Final = "text"


async def text(kit: Kit) -> Measurement:
    """The least there is to do; other rows are measured against this one."""
    response = kit.load("responses").PlainTextResponse

    async def endpoint(request: Any) -> Any:
        return response("Hello, world!")

    return await measure_request(
        kit.build_app([kit.build_route(endpoint)]), Request(), b"Hello, world!"
    )


async def decorate(kit: Kit) -> Measurement:
    """Three header fields and a cookie on a response."""
    response_class = kit.load("responses").Response

    def build(content: bytes) -> int:
        response = response_class(content, media_type="text/html")
        response.headers["Cache-Control"] = "private, max-age=60"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers.setdefault("Vary", "Cookie")
        response.set_cookie("session", "eyJpZCI6IDQyfQ", httponly=True, secure=True, max_age=3600)
        return len(response.raw_headers)

    return await measure_calls(build, lambda: b"<p>Hello</p>", 6)


async def raise_exception(kit: Kit) -> Measurement:
    """An `HTTPException` that becomes a 404."""
    exception = kit.load("exceptions").HTTPException

    async def endpoint(request: Any) -> Any:
        raise exception(404, "no such item")

    app = kit.build_app([kit.build_route(endpoint)])
    return await measure_request(app, Request(), b"no such item", status=404)


async def run_background(kit: Kit) -> Measurement:
    """A task of an async function after the response."""
    response = kit.load("responses").PlainTextResponse
    task = kit.load("background").BackgroundTask

    async def work(number: int) -> None:
        del number

    async def endpoint(request: Any) -> Any:
        return response("done", background=task(work, 7))

    return await measure_request(kit.build_app([kit.build_route(endpoint)]), Request(), b"done")


async def stream(kit: Kit) -> Measurement:
    """A hundred chunks of 1 KiB out of an async generator."""
    response = kit.load("responses").StreamingResponse

    async def generate() -> AsyncIterator[bytes]:
        for _ in range(CHUNKS):
            yield CHUNK

    async def endpoint(request: Any) -> Any:
        return response(generate())

    app = kit.build_app([kit.build_route(endpoint)])
    return await measure_request(app, Request(), CHUNK * CHUNKS)


async def send_file(kit: Kit) -> Measurement:
    """A `FileResponse` of 10 KB."""
    response = kit.load("responses").FileResponse
    content = random.Random(7).randbytes(SMALL_FILE_BYTES)
    path = kit.make_folder() / "file.bin"
    path.write_bytes(content)

    async def endpoint(request: Any) -> Any:
        return response(path)

    return await measure_request(kit.build_app([kit.build_route(endpoint)]), Request(), content)


async def serve_static(kit: Kit, size: int) -> Measurement:
    """A file of that many bytes out of a mounted folder."""
    folder = kit.make_folder()
    content = random.Random(7).randbytes(size)
    (folder / "file.bin").write_bytes(content)
    files = kit.load("staticfiles").StaticFiles(directory=folder)
    app = kit.build_app([kit.load("routing").Mount("/static", files)])
    return await measure_request(app, Request("/static/file.bin"), content)


async def serve_precompressed(kit: Kit) -> Measurement:
    """A script of which there is a file for clients that take gzip."""
    folder = kit.make_folder()
    (folder / "app.js").write_bytes(b"let x = 1;\n" * 1_000)
    compressed = random.Random(7).randbytes(SMALL_FILE_BYTES)
    (folder / "app.js.gz").write_bytes(compressed)
    files = kit.load("staticfiles").StaticFiles(directory=folder, precompressed=True)
    app = kit.build_app([kit.load("routing").Mount("/static", files)])
    return await measure_request(app, Request("/static/app.js"), compressed)


CASES: Final = (
    Case(TEXT, text),
    Case("response with header fields and a cookie", decorate),
    Case("HTTPException", raise_exception),
    Case("background task", run_background),
    Case("stream of 100 chunks", stream, faster=1.5),
    Case("FileResponse, 10 KB", send_file, faster=2),
    Case("StaticFiles, 10 KB", partial(serve_static, size=SMALL_FILE_BYTES), faster=2),
    Case("StaticFiles, 10 MB", partial(serve_static, size=LARGE_FILE_BYTES), faster=1),
    Case("StaticFiles, 10 KB precompressed", serve_precompressed, added_to=TEXT, is_own=True),
)
