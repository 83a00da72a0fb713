"""Hostile forms as data: each file of `multipart/` is an attack and the answer it has to get.

`body` is a list of texts (Latin-1) and of `{"repeat": ..., "times": n}`; `endless` is sent on and on
behind it. `cpu_ms` is what the attack may cost; the test allows several times that, as what it looks
for (a step per byte, a quadratic search) costs a hundred times as much.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework.applications import App
from framework.datastructures import UploadFile
from framework.exceptions import ClientDisconnect
from framework.requests import Request
from framework.responses import JSONResponse
from framework.routing import Route
from framework.types import Message
from tests.framework.asgi import build_scope

pytestmark = pytest.mark.anyio

CASES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "multipart").glob("*.json"))
}
CHUNK_BYTES = 65536
CPU_SLACK = 8


def expand(body: Any) -> Iterator[bytes]:
    """Yield the bytes of a body in pieces."""
    if isinstance(body, str):
        yield body.encode("latin-1")
    elif isinstance(body, list):
        yield from chain.from_iterable(map(expand, body))
    else:
        # In large pieces, as the generator must not cost more than the parser.
        piece = b"".join(expand(body["repeat"]))
        together = max(1, CHUNK_BYTES // max(1, len(piece)))
        whole, rest = divmod(body["times"], together)
        yield from repeat(piece * together, whole)
        yield piece * rest


def cut(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the same bytes as a server does: in chunks of one size."""
    kept = b""
    for piece in pieces:
        kept += piece
        while len(kept) >= CHUNK_BYTES:
            yield kept[:CHUNK_BYTES]
            kept = kept[CHUNK_BYTES:]
    yield kept


class Client:
    """Sends the form of a case and takes the answer."""

    def __init__(self, case: dict[str, Any]) -> None:
        pieces = expand(case["body"])
        if "endless" in case:
            endless = next(expand({"repeat": case["endless"], "times": 1000}))
            pieces = chain(pieces, repeat(endless))
        self.chunks = cut(pieces)
        self.goes = case.get("client_goes", False)
        self.reads = 0
        self.seconds = 0.0
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        await anyio.lowlevel.checkpoint()
        self.reads += 1
        start = time.thread_time()
        chunk = next(self.chunks, None)
        self.seconds += time.thread_time() - start
        if chunk is None and self.goes:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": chunk or b"", "more_body": chunk is not None}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def describe(request: Request[Any]) -> JSONResponse:
    """Answer with what the form holds."""
    async with request.form() as form:
        items: list[Any] = []
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                items.append([name, value.filename, value.safe_filename, value.size])
            else:
                items.append([name, value])
    return JSONResponse(items)


async def measure_lag(lags: list[float]) -> None:
    """Note how late a timer of a millisecond is, again and again."""
    while True:
        start = time.perf_counter()
        await anyio.sleep(0.001)
        lags.append(time.perf_counter() - start - 0.001)


async def count_files() -> int:
    """Count the files of forms that are left a second after the end, without a collection."""
    found = 0
    for _ in range(50):
        found = sum(isinstance(each, SpooledTemporaryFile) for each in gc.get_objects())
        if not found:
            break
        await anyio.sleep(0.02)
    return found


@pytest.mark.parametrize("name", CASES)
async def test_a_hostile_form_is_answered_as_it_should_be(name: str) -> None:
    case = CASES[name]
    expect = case["expect"]
    app = App(
        routes=[Route("/", describe, methods=["POST"])], max_body_size=case.get("max_body_size")
    )
    fields = [("content-type", case["content_type"]), *map(tuple, case.get("headers", ()))]
    client = Client(case)
    lags: list[float] = []
    async with anyio.create_task_group() as tasks:
        if "max_lag_ms" in case:
            tasks.start_soon(measure_lag, lags)
        start = time.thread_time()
        try:
            await app(build_scope("/", "POST", *fields), client.receive, client.send)
        except ClientDisconnect:
            assert expect.get("aborted")
        seconds = time.thread_time() - start - client.seconds
        tasks.cancel_scope.cancel()
    if not expect.get("aborted"):
        assert client.sent[0]["status"] == expect["status"]
        body = b"".join(message.get("body", b"") for message in client.sent[1:])
        if "items" in expect:
            assert json.loads(body) == expect["items"]
        else:
            assert body.decode() == expect["text"]
    assert await count_files() == 0
    assert seconds < CPU_SLACK * case.get("cpu_ms", 1000) / 1000
    assert not lags or sorted(lags)[len(lags) * 9 // 10] < case["max_lag_ms"] / 1000
    if case.get("reads_nothing"):
        assert client.reads == 0


def test_every_attack_of_the_list_has_its_cases() -> None:
    assert {name[:3] for name in CASES} == {f"c{number:02}" for number in range(1, 19)}
