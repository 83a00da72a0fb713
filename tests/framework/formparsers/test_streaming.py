"""`Request.multipart()`: a form part by part, as it arrives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from framework.exceptions import ClientDisconnect, MultiPartException
from framework.requests import Request
from tests.framework.asgi import build_scope
from tests.framework.formparsers.forms import (
    MULTIPART,
    build_field,
    build_file,
    build_form,
    build_request,
    cut,
)

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
FORM = build_form(
    build_field("a", b"1"), build_file("f", b"x" * 1000, "../p.txt"), build_field("z", b"2")
)


async def read_all(request: Request[Any]) -> list[bytes]:
    return [await part.read() async for part in request.multipart()]


async def test_parts_tell_what_they_are() -> None:
    parts = [part async for part in build_request(cut(FORM, 100)).multipart()]
    assert [part.name for part in parts] == ["a", "f", "z"]
    assert [part.filename for part in parts] == [None, "../p.txt", None]
    assert [part.safe_filename for part in parts] == [None, "p.txt", None]
    assert [part.content_type for part in parts] == [None, "application/octet-stream", None]
    assert parts[1].headers["content-disposition"].startswith("form-data")
    assert repr(parts[1]) == "StreamedPart(name='f', filename='../p.txt')"


async def test_parts_are_read_in_chunks_whole_or_not_at_all() -> None:
    stream = build_request(cut(FORM, 100)).multipart()
    first = await anext(stream)
    assert await first.read() == b"1"
    assert await first.read() == b""
    second = await anext(stream)
    assert await anext(second)
    third = await anext(stream)
    assert [chunk async for chunk in third] == [b"2"]
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert await third.read() == b""
    with pytest.raises(RuntimeError, match=r"name='f'.* is gone"):
        await second.read()


async def test_the_first_chunk_is_there_before_the_last_is_sent() -> None:
    sent: list[int] = []
    chunks = cut(FORM, 200)

    async def receive() -> dict[str, Any]:
        sent.append(len(chunks))
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    scope = build_scope("/", "POST", ("content-type", MULTIPART))
    stream = Request(scope, receive).multipart()
    await anext(stream)
    assert await anext(await anext(stream))
    assert sent[-1] > 1


async def test_a_part_is_read_up_to_a_limit() -> None:
    stream = build_request([FORM]).multipart()
    await anext(stream)
    part = await anext(stream)
    with pytest.raises(MultiPartException, match="Part exceeded"):
        await part.read(999)


async def test_a_part_that_ends_too_early_is_an_error_and_no_part() -> None:
    with pytest.raises(MultiPartException, match="closing boundary"):
        await read_all(build_request(cut(FORM[:-300], 100)))
    with pytest.raises(ClientDisconnect):
        await read_all(build_request(cut(FORM[:300], 100), is_complete=False))


@pytest.mark.parametrize("limit", ["max_files", "max_fields"])
async def test_parts_are_counted(limit: str) -> None:
    stream = build_request([FORM]).multipart(**{limit: 0})
    with pytest.raises(MultiPartException, match=r"Too many fi(les|elds)\. Maximum"):
        [part async for part in stream]


async def test_what_is_no_multipart_form_has_no_parts() -> None:
    with pytest.raises(MultiPartException, match="Missing boundary"):
        await anext(build_request([b"a=1"], "application/x-www-form-urlencoded").multipart())


async def test_a_body_is_streamed_once() -> None:
    request = build_request(cut(FORM, 100))
    async for _ in request.multipart():
        pass
    with pytest.raises(RuntimeError, match="Stream consumed"):
        request.multipart()
    with pytest.raises(RuntimeError, match="Stream consumed"):
        await request.form()


async def test_a_form_may_be_left_at_any_part() -> None:
    async for part in build_request(cut(FORM, 10)).multipart():
        async for _ in part:
            break
        break


PROBE = """
import asyncio, resource, sys
from framework.requests import Request
from tests.framework.formparsers.forms import MULTIPART, build_file
from tests.framework.asgi import build_scope

MEGABYTES = int(sys.argv[1])
start, end = build_file("f", b"|").split(b"|")
chunk = bytes(range(256)) * 4096
state = {"sent": -1}

async def receive():
    state["sent"] += 1
    if state["sent"] == 0:
        return {"type": "http.request", "body": start, "more_body": True}
    if state["sent"] <= MEGABYTES:
        return {"type": "http.request", "body": chunk[1:] + b"x", "more_body": True}
    return {"type": "http.request", "body": end + b"--%s--" % MULTIPART[30:].encode()}

async def main():
    scope = build_scope("/", "POST", ("content-type", MULTIPART))
    size = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.argv[2] == "form":
        async with Request(scope, receive).form() as form:
            size = form["f"].size
    else:
        async for part in Request(scope, receive).multipart():
            async for piece in part:
                size += len(piece)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(size, (after - before) // 1024)

asyncio.run(main())
"""


def measure_growth(megabytes: int, way: str) -> int:
    """Send a file and return by how many MB the memory grew."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(megabytes), way],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    size, grown = (int(word) for word in done.stdout.split())
    assert size == megabytes * 1024 * 1024
    return grown


def test_a_gigabyte_passes_in_flat_memory() -> None:
    assert measure_growth(1024, "multipart") < 30


def test_a_large_file_is_spooled_in_flat_memory() -> None:
    assert measure_growth(100, "form") < 30
