"""Compression of bodies that come in pieces, beside other messages, in threads, and cut off."""

from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from framework.middleware import _codings, compress
from framework.middleware.compress import CompressMiddleware
from framework.middleware.gzip import GZipMiddleware
from framework.responses import EventSourceResponse, FileResponse, Response, StreamingResponse
from framework.types import Message, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.middleware.compressing import (
    DECODERS,
    TEXT,
    answer_with,
    ask,
    decode,
    decode_pieces,
    read,
    send_all,
    send_chunks,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("coding", DECODERS)
async def test_each_chunk_can_be_read_when_it_arrives(coding: str) -> None:
    chunks = [b"first", b"second " * 100, b"", b"x", b"y" * 100_000]
    fields = [(b"content-length", b"100801"), (b"etag", b'"a"')]
    channel = await ask(CompressMiddleware(send_chunks(chunks, *fields)), coding)
    sent = [message.get("body", b"") for message in channel.messages[1:]]
    assert decode_pieces(coding, sent) == [*chunks, b""]
    assert [message.get("more_body", False) for message in channel.messages[1:]] == (
        [True] * len(chunks) + [False]
    )
    assert sent[2] == b""
    assert decode(channel) == b"".join(chunks)
    assert read(channel, b"content-length") == []
    assert read(channel, b"etag") == [b'W/"a"']
    assert read(channel, b"vary") == [b"Accept-Encoding"]


async def test_a_stream_that_is_declared_small_stays() -> None:
    app = CompressMiddleware(send_chunks([b"ab", b"cd"], (b"content-length", b"4")))
    channel = await ask(app, "gzip")
    assert channel.body == b"abcd"
    assert channel.messages[0]["headers"] == [(b"content-length", b"4")]


async def test_a_length_that_is_none_counts_as_unknown() -> None:
    app = CompressMiddleware(send_chunks([b"ab"], (b"content-length", b"many")))
    assert decode(await ask(app, "gzip")) == b"ab"


async def test_the_head_of_a_stream_without_coding_is_not_held() -> None:
    heads: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        heads.append(channel.messages[0]["headers"])

    channel = Channel()
    await CompressMiddleware(app)(build_scope(), channel.receive, channel.send)
    assert heads == [[(b"vary", b"Accept-Encoding")]]


async def events() -> AsyncIterator[str]:
    for number in range(3):
        yield f"event {number}"


async def test_an_event_stream_is_not_compressed_by_default() -> None:
    channel = await ask(CompressMiddleware(EventSourceResponse(events())), "gzip, br")
    assert read(channel, b"content-encoding") == []
    assert channel.body == b"data: event 0\n\ndata: event 1\n\ndata: event 2\n\n"


@pytest.mark.parametrize("coding", DECODERS)
async def test_an_event_stream_that_is_compressed_delays_no_event(coding: str) -> None:
    app = CompressMiddleware(EventSourceResponse(events()), excluded_content_types=())
    channel = await ask(app, coding)
    assert read(channel, b"content-encoding") == [coding.encode()]
    pieces = decode_pieces(coding, [message.get("body", b"") for message in channel.messages[1:]])
    assert pieces == [b"data: event 0\n\n", b"data: event 1\n\n", b"data: event 2\n\n", b""]


async def test_a_file_is_compressed_and_a_part_of_it_is_not(tmp_path: Any) -> None:
    path = tmp_path / "page.html"
    path.write_bytes(TEXT * 100)
    app = CompressMiddleware(FileResponse(path))
    assert decode(await ask(app, "zstd")) == TEXT * 100
    part = await call(
        app, build_scope("/", "GET", ("accept-encoding", "br"), ("range", "bytes=0-9"))
    )
    assert part.status == 206
    assert part.body == TEXT[:10]
    assert read(part, b"accept-ranges") == [b"bytes"]


START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-length", b"9999")],
}


async def test_a_file_that_the_server_sends_is_left_to_it() -> None:
    for kind in ("http.response.pathsend", "http.response.zerocopysend"):
        messages: list[Message] = [START, {"type": kind, "path": "/file"}]
        channel = await ask(CompressMiddleware(send_all(*messages)), "gzip")
        assert channel.messages == messages


@pytest.mark.parametrize("accepted", ["gzip", ""])
async def test_hints_come_at_once_and_trailers_at_the_end(accepted: str) -> None:
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>"]}
    info = {"type": "http.response.debug", "info": {}}
    trailers = {"type": "http.response.trailers", "headers": [(b"x-a", b"b")]}
    body = {"type": "http.response.body", "body": TEXT}
    start = {**START, "trailers": True}
    channel = await ask(CompressMiddleware(send_all(hint, start, info, body, trailers)), accepted)
    kinds = [message["type"].rpartition(".")[2] for message in channel.messages]
    assert sorted(kinds) == ["body", "debug", "early_hint", "start", "trailers"]
    assert kinds[0] == "early_hint"
    assert kinds[-1] == "trailers"
    sent = next(message for message in channel.messages if message["type"].endswith("start"))
    names = [name for name, _ in sent["headers"]]
    # With trailers the body is framed by chunks, so there must be no other length.
    assert (b"content-length" in names) is (accepted == "")
    assert sent["trailers"] is True


async def test_what_has_only_a_head_and_trailers_goes_out_as_it_is() -> None:
    trailers: Message = {"type": "http.response.trailers", "headers": []}
    messages = [{**START, "trailers": True}, trailers]
    assert (await ask(CompressMiddleware(send_all(*messages)), "gzip")).messages == messages


async def test_large_chunks_are_compressed_in_a_thread_and_small_ones_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[bool] = []
    inner = _codings.Gzip.compress

    def note(self: _codings.Gzip, body: bytes) -> bytes:
        threads.append(threading.current_thread() is threading.main_thread())
        return inner(self, body)

    monkeypatch.setattr(_codings.Gzip, "compress", note)
    here = threading.current_thread() is threading.main_thread()
    for size in (1000, 65535, 65536):
        channel = await ask(CompressMiddleware(answer_with(b"x" * size)), "gzip")
        assert decode(channel) == b"x" * size
    assert threads == [here, here, False]
    for size in (128 * 1024 - 1, 128 * 1024):
        await ask(GZipMiddleware(answer_with(b"x" * size)), "gzip")
    assert threads[3:] == [here, False]


async def test_the_loop_runs_on_while_a_large_body_is_compressed() -> None:
    rows = [{"id": number, "name": f"user {number}"} for number in range(50_000)]
    body = json.dumps(rows).encode() * 4
    gaps: list[float] = []

    async def watch() -> None:
        while True:
            start = time.perf_counter()
            await anyio.sleep(0.001)
            gaps.append(time.perf_counter() - start)

    app = CompressMiddleware(answer_with(body, content_type=b"application/json"))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        for coding in DECODERS:
            assert decode(await ask(app, coding)) == body
        tasks.cancel_scope.cancel()
    # Compressed here, one body would hold the loop for its whole time, and there would be no gaps.
    assert len(gaps) > 10


async def test_no_more_threads_compress_than_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress.compression_threads, "_limit", 2)
    compress.compression_threads.limiter.total_tokens = 2
    running, peak = 0, 0
    lock = threading.Lock()

    def slow(self: _codings.Gzip, body: bytes) -> bytes:
        nonlocal running, peak
        with lock:
            running += 1
            peak = max(peak, running)
        time.sleep(0.02)
        with lock:
            running -= 1
        return body[:1]

    monkeypatch.setattr(_codings.Gzip, "compress", slow)
    app = CompressMiddleware(answer_with(b"x" * 70_000))
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(ask, app, "gzip")
    assert peak == 2


class Stream:
    """A compressor that can be watched."""

    def __call__(self, chunk: bytes, is_last: bool, /) -> bytes:
        return chunk


async def test_a_stream_that_is_cut_off_keeps_no_compressor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[weakref.ref[Stream]] = []

    def start(self: _codings.Gzip) -> Stream:
        stream = Stream()
        made.append(weakref.ref(stream))
        return stream

    monkeypatch.setattr(_codings.Gzip, "start", start)
    sends: list[Send] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sends.append(send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": TEXT, "more_body": True})
        raise OSError("the client has gone")

    try:
        await ask(CompressMiddleware(app), "gzip")
    except OSError as exc:
        exc.__traceback__ = None
    assert [each() for each in made] == [None]
    assert len(sends) == 1


async def test_a_client_that_goes_ends_a_stream() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield TEXT
            await anyio.sleep(0.01)

    channel = Channel(b"")
    with anyio.fail_after(5):
        await CompressMiddleware(StreamingResponse(chunks()))(
            build_scope("/", "GET", ("accept-encoding", "br")), channel.receive, channel.send
        )
    assert read(channel, b"content-encoding") == [b"br"]


async def test_background_work_runs_after_the_answer() -> None:
    ran: list[str] = []

    async def work() -> None:
        ran.append("work")

    response = Response(TEXT, media_type="text/plain", background=work)  # type: ignore[arg-type]
    assert decode(await ask(CompressMiddleware(response), "gzip")) == TEXT
    assert ran == ["work"]
