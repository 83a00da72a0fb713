"""`Request.form()`: what it reads, what it leaves behind, what it refuses.

What it has in common with Starlette is compared in tests/compat; attacks stand in tests/corpus.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework import formparsers
from framework._defaults import (
    FILE_WRITE_BYTES,
    MAX_FILE_MEMORY_BYTES,
    MAX_FORM_BUFFERED_BYTES,
    MAX_KEPT_FORM_BYTES,
)
from framework.applications import App
from framework.concurrency import file_threads
from framework.datastructures import FormData, Headers, UploadFile
from framework.exceptions import ClientDisconnect, HTTPException, RequestBodyTooLarge
from framework.formparsers import FormParser, MultiPartException, MultiPartParser, _library
from framework.requests import Request
from framework.responses import PlainTextResponse
from framework.routing import Route
from tests.clients import ClientFactory
from tests.framework.asgi import build_scope, call
from tests.framework.formparsers.forms import (
    MULTIPART,
    URLENCODED,
    build_field,
    build_file,
    build_form,
    build_request,
    cut,
    read_items,
)

pytestmark = pytest.mark.anyio

SMALL_FORM = build_form(build_field("a", b"1"), build_file("f", b"content"))


def count_open_files() -> int:
    gc.collect()  # what other tests left behind
    return len(list(Path("/proc/self/fd").iterdir()))


def count_spooled_files() -> int:
    return sum(isinstance(each, SpooledTemporaryFile) for each in gc.get_objects())


async def wait_for_no_files() -> None:
    """Wait until all files are gone, without a collection: they must not wait for one."""
    gc.disable()
    try:
        for _ in range(50):  # the thread that wrote the file last may hold it for a moment
            if not count_spooled_files():
                break
            await anyio.sleep(0.02)
        assert count_spooled_files() == 0
    finally:
        gc.enable()


async def test_a_form_is_read_once_and_is_the_same_from_then_on() -> None:
    request = build_request(cut(SMALL_FORM, 50))
    form = await request.form()
    assert await request.form() is form
    async with request.form() as again:
        assert again is form


async def test_leaving_the_block_closes_the_files() -> None:
    request = build_request([SMALL_FORM])
    async with request.form() as form:
        upload = form["f"]
        assert isinstance(upload, UploadFile)
        assert await upload.read() == b"content"
    assert upload.file.closed


async def test_closing_the_request_closes_the_files_of_a_form_that_was_read() -> None:
    request = build_request([SMALL_FORM])
    await request.close()
    form = await request.form()
    await request.close()
    upload = form["f"]
    assert isinstance(upload, UploadFile)
    assert upload.file.closed


@pytest.mark.parametrize("first", ["body", "json", "stream", "form"])
async def test_body_and_form_follow_each_other_in_any_order(first: str) -> None:
    request = build_request([b"a=1&", b"b=2"], URLENCODED)
    if first == "stream":
        await request.form()
        assert [chunk async for chunk in request.stream()] == [b"a=1&b=2", b""]
    elif first == "json":
        with pytest.raises(ValueError, match="not valid JSON"):
            await request.json()
    elif first == "body":
        assert await request.body() == b"a=1&b=2"
    assert (await request.form()).multi_items() == [("a", "1"), ("b", "2")]
    assert await request.body() == b"a=1&b=2"
    assert [chunk async for chunk in request.stream()] == [b"a=1&b=2", b""]


async def test_the_parts_of_a_form_that_was_read_can_be_streamed() -> None:
    request = build_request(cut(SMALL_FORM, 50))
    async with request.form():
        names = [part.name async for part in request.multipart()]
    assert names == ["a", "f"]


async def test_a_large_form_leaves_no_body_behind() -> None:
    body = build_form(build_file("f", b"x" * MAX_KEPT_FORM_BYTES))
    request = build_request(cut(body, 65536))
    async with request.form():
        with pytest.raises(RuntimeError, match="Stream consumed"):
            await request.body()


async def test_a_large_body_that_was_read_before_the_form_stays() -> None:
    body = build_form(build_file("f", b"x" * MAX_KEPT_FORM_BYTES))
    request = build_request(cut(body, 65536))
    assert await request.body() == body
    async with request.form():
        assert await request.body() == body


async def test_a_body_of_another_type_is_an_empty_form_and_stays_unread() -> None:
    request = build_request([b"{}"], "application/json")
    assert await request.form() == FormData()
    assert await request.json() == {}


@pytest.mark.parametrize(
    "size", [0, 1, MAX_FILE_MEMORY_BYTES, MAX_FILE_MEMORY_BYTES + 1, 3_000_000]
)
@pytest.mark.parametrize("chunk_size", [10_000, 65536, 10_000_000])
async def test_a_file_is_what_was_sent_in_memory_and_on_disk(size: int, chunk_size: int) -> None:
    content = (b"0123456789\r\n--" * (size // 14 + 1))[:size]
    body = build_form(build_file("f", content), build_field("after", b"y"))
    async with build_request(cut(body, chunk_size)).form() as form:
        upload = form["f"]
        assert isinstance(upload, UploadFile)
        assert isinstance(upload.file, SpooledTemporaryFile)
        assert upload.size == size
        assert upload.file.tell() == 0
        assert getattr(upload.file, "_rolled") is (size > MAX_FILE_MEMORY_BYTES)  # noqa: B009
        assert await upload.read() == content
        await upload.seek(0)
        await upload.write(b"!")
        await upload.seek(0)
        assert await upload.read() == b"!" + content[1:]
        assert form["after"] == "y"


async def test_files_beyond_the_memory_of_a_form_go_to_disk() -> None:
    content = b"x" * MAX_FILE_MEMORY_BYTES
    count = MAX_FORM_BUFFERED_BYTES // MAX_FILE_MEMORY_BYTES + 2
    body = build_form(*[build_file("f", content)] * count)
    async with build_request(cut(body, 65536)).form() as form:
        on_disk = [getattr(each.file, "_rolled") for each in form.getlist("f")]  # type: ignore[union-attr] # noqa: B009
    assert on_disk == [False] * (count - 2) + [True] * 2


async def test_a_small_file_does_not_keep_the_chunk_that_it_came_in() -> None:
    chunk = build_file("f", b"small") + build_file("g", b"x" * 3_000_000)
    before = sys.getrefcount(chunk)
    async with build_request([chunk, build_form()]).form() as form:
        assert len(form) == 2
        assert sys.getrefcount(chunk) == before


async def test_a_file_is_written_to_disk_off_the_loop_in_large_pieces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[int] = []
    run = type(file_threads).run

    async def note(pool: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], list):
            written.append(sum(len(piece) for piece in args[0]))
        return await run(pool, func, *args, **kwargs)

    monkeypatch.setattr(type(file_threads), "run", note)
    body = build_form(build_file("f", b"x" * 8_000_000))
    async with build_request(cut(body, 65536)).form():
        pass
    assert sum(written) == 8_000_000
    assert min(written[:-1]) >= FILE_WRITE_BYTES
    assert max(written) <= MAX_FILE_MEMORY_BYTES + 65536


async def test_the_loop_goes_on_while_a_file_is_spooled() -> None:
    gaps: list[float] = []
    body = cut(build_form(build_file("f", b"x" * 30_000_000)), 65536)

    async def ping() -> None:
        while True:
            start = time.perf_counter()
            await anyio.lowlevel.checkpoint()
            gaps.append(time.perf_counter() - start)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ping)
        async with build_request(body).form():
            pass
        tasks.cancel_scope.cancel()
    # Each pass of the loop parses a chunk or waits for a thread: many passes, none of them a write.
    assert len(gaps) > 30_000_000 // (2 * MAX_FILE_MEMORY_BYTES)


async def test_an_abort_takes_the_files_with_it() -> None:
    body = build_form(*[build_file("f", b"x" * 3_000_000)] * 3)
    before = count_open_files()
    request = build_request(cut(body[:-100_000], 65536), is_complete=False)
    with pytest.raises(ClientDisconnect):
        await request.form()
    assert count_open_files() == before


async def test_a_cancelled_form_takes_the_files_with_it() -> None:
    body = build_form(build_file("f", b"x" * 3_000_000))
    before = count_open_files()
    chunks = cut(body, 65536)[:-1]

    async def receive() -> dict[str, Any]:
        if not chunks:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": chunks.pop(0), "more_body": True}

    scope = build_scope("/", "POST", ("content-type", MULTIPART))
    with anyio.move_on_after(0.3) as timeout:
        await Request(scope, receive).form()
    assert timeout.cancelled_caught
    assert count_open_files() == before


async def test_malformed_data_after_a_file_takes_the_file_with_it() -> None:
    body = build_file("f", b"x" * 3_000_000) + b"--not the boundary"
    before = count_open_files()
    with pytest.raises(MultiPartException):
        await build_request(cut(body, 65536)).form()
    assert count_open_files() == before


async def test_a_failing_endpoint_that_closes_nothing_leaves_no_file() -> None:
    async def endpoint(request: Request[Any]) -> PlainTextResponse:
        form = await request.form()
        upload = form["f"]
        raise HTTPException(418, str(getattr(upload.file, "_rolled")))  # type: ignore[union-attr] # noqa: B009

    app = App(routes=[Route("/", endpoint, methods=["POST"])])
    body = build_form(build_file("f", b"x" * 3_000_000))
    scope = build_scope("/", "POST", ("content-type", MULTIPART))
    channel = await call(app, scope, *cut(body, 65536))
    assert (channel.status, channel.body) == (418, b"True")
    await wait_for_no_files()


async def test_a_dropped_form_closes_its_files_without_a_warning() -> None:
    form = await build_request([build_form(build_file("f", b"x" * 3_000_000))]).form()
    assert count_spooled_files() == 1
    del form
    await wait_for_no_files()


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(URLENCODED, b"a=1&b=2"), (MULTIPART, build_form(build_field("a", b"1")))],
)
async def test_a_form_has_a_largest_size_where_none_is_set(
    monkeypatch: pytest.MonkeyPatch, content_type: str, body: bytes
) -> None:
    monkeypatch.setattr("framework.requests.MAX_FORM_BYTES", len(body) - 1)
    with pytest.raises(RequestBodyTooLarge):
        await build_request([body], content_type).form()
    limit: dict[str, Any] = {"starlette.max_body_size": 10**6}
    limited = build_request([body], content_type, **limit)
    assert len(await limited.form()) > 0


@pytest.mark.parametrize("content_type", [URLENCODED, MULTIPART])
async def test_the_fields_of_a_form_have_a_largest_size_together(
    monkeypatch: pytest.MonkeyPatch, content_type: str
) -> None:
    if content_type == URLENCODED:
        body = b"&".join(b"a=%d" % number for number in range(500))
        monkeypatch.setattr("framework.formparsers._urlencoded.MAX_FORM_BUFFERED_BYTES", 1000)
    else:
        body = build_form(*[build_field("a", b"x" * 100)] * 20)
        monkeypatch.setattr("framework.formparsers._multipart.MAX_FORM_BUFFERED_BYTES", 1000)
    with pytest.raises(RequestBodyTooLarge):
        await build_request(cut(body, 100), content_type).form()


def test_a_malformed_form_is_answered_with_400(client_factory: ClientFactory) -> None:
    async def endpoint(request: Request[Any]) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.form())))

    app = App(routes=[Route("/", endpoint, methods=["POST"])])
    response = client_factory(app).post("/", content=b"--x", headers={"content-type": MULTIPART})
    assert (response.status_code, response.text) == (400, "Invalid multipart data.")


def test_the_error_is_an_answer_and_says_why() -> None:
    error = MultiPartException("why")
    assert isinstance(error, HTTPException)
    assert (error.status_code, error.detail, error.message) == (400, "why", "why")


async def test_parsers_work_on_any_stream_of_chunks() -> None:
    async def stream() -> Any:
        for chunk in cut(SMALL_FORM, 20):
            yield chunk

    form = await MultiPartParser(Headers({"content-type": MULTIPART}), stream()).parse()
    assert await read_items(form) == [
        ("a", "1"),
        ("f", ("a.bin", "application/octet-stream", 7, b"content")),
    ]
    await form.close()
    with pytest.raises(MultiPartException, match="Missing boundary"):
        await MultiPartParser(Headers({}), stream()).parse()


async def test_the_memory_of_a_file_can_be_set_in_a_subclass() -> None:
    class Parser(MultiPartParser):
        spool_max_size = 3

    async def stream() -> Any:
        yield SMALL_FORM

    form = await Parser(Headers({"content-type": MULTIPART}), stream()).parse()
    assert getattr(form["f"].file, "_rolled") is True  # type: ignore[union-attr] # noqa: B009
    assert await read_items(form)
    await form.close()


async def test_without_python_multipart_the_error_names_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_library, "_MODULE", "no_such_multipart")
    with pytest.raises(RuntimeError, match="pip install python-multipart"):
        await build_request([SMALL_FORM]).form()
    assert len(await build_request([b"a=1"], URLENCODED).form()) == 1


def test_the_parsers_load_python_multipart_only_for_a_multipart_form() -> None:
    code = "import sys, framework.formparsers; print('python_multipart' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"False\n"


def test_the_public_names_are_there() -> None:
    assert set(formparsers.__all__) >= {"FormMessage", "FormParser", "MultipartPart"}
    assert FormParser.__module__.startswith("framework.formparsers")
