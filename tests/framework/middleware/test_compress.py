"""`CompressMiddleware`: what is compressed, by which coding, and what the fields say about it."""

from __future__ import annotations

import os

import pytest

from framework.middleware.compress import CompressMiddleware
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.framework.middleware.compressing import (
    DECODERS,
    TEXT,
    answer_with,
    ask,
    decode,
    read,
    send_all,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("coding", DECODERS)
async def test_a_body_is_compressed_in_the_coding_that_is_asked_for(coding: str) -> None:
    channel = await ask(CompressMiddleware(answer_with()), f"identity;q=0.5, {coding}")
    assert channel.messages[0]["headers"] == [
        (b"content-type", b"text/plain"),
        (b"content-length", b"%d" % len(channel.body)),
        (b"vary", b"Accept-Encoding"),
        (b"content-encoding", coding.encode()),
    ]
    assert decode(channel) == TEXT
    assert len(channel.body) < len(TEXT) / 5


@pytest.mark.parametrize("coding", DECODERS)
@pytest.mark.parametrize("size", [0, 1, 499, 500, 1024, 65535, 65536, 300_000])
async def test_bodies_of_every_size_come_back(coding: str, size: int) -> None:
    body = (os.urandom(64) * (size // 64 + 1))[:size]
    channel = await ask(CompressMiddleware(answer_with(body)), coding)
    assert decode(channel) == body
    assert read(channel, b"content-length") == [b"%d" % len(channel.body)]
    assert read(channel, b"content-encoding") == [coding.encode()] * (size >= 500)
    assert read(channel, b"vary") == [b"Accept-Encoding"] * (size >= 500)


async def test_a_context_that_is_used_again_leaks_nothing() -> None:
    app = CompressMiddleware(answer_with(TEXT))
    first = await ask(app, "zstd")
    assert (await ask(app, "zstd")).body == first.body


async def test_the_server_breaks_ties_by_the_order_of_its_codings() -> None:
    for codings, chosen in (
        ({"zstd": 3, "br": 4, "gzip": 6}, b"zstd"),
        ({"br": 4, "zstd": 3}, b"br"),
        ({"gzip": 1, "br": 1}, b"gzip"),
    ):
        app = CompressMiddleware(answer_with(), codings=codings)
        assert read(await ask(app, "gzip, br, zstd"), b"content-encoding") == [chosen]
        assert app.codings == tuple(codings)


@pytest.mark.parametrize("accepted", [(), ("",), ("gzip;q=0",), ("*;q=0",), ("deflate",)])
async def test_who_wants_nothing_gets_nothing_and_caches_know(accepted: tuple[str, ...]) -> None:
    channel = await ask(CompressMiddleware(answer_with()), *accepted)
    assert channel.body == TEXT
    assert read(channel, b"content-encoding") == []
    assert read(channel, b"content-length") == [b"%d" % len(TEXT)]
    assert read(channel, b"vary") == [b"Accept-Encoding"]


async def test_several_fields_are_one_list() -> None:
    channel = await ask(CompressMiddleware(answer_with()), "deflate", "br;q=0.1", "gzip")
    assert read(channel, b"content-encoding") == [b"gzip"]
    channel = await ask(CompressMiddleware(answer_with()), *["gzip"] * 300)
    assert read(channel, b"content-encoding") == []


async def test_who_refuses_the_body_as_it_is_gets_even_a_small_one_compressed() -> None:
    app = CompressMiddleware(answer_with(b"small"))
    channel = await ask(app, "gzip, identity;q=0")
    assert read(channel, b"content-encoding") == [b"gzip"]
    assert decode(channel) == b"small"
    empty = await ask(CompressMiddleware(answer_with(b"")), "gzip, identity;q=0")
    assert read(empty, b"content-encoding") == []


async def test_a_body_that_would_not_get_smaller_stays() -> None:
    noise = os.urandom(2000)
    for coding in DECODERS:
        channel = await ask(CompressMiddleware(answer_with(noise)), coding)
        assert channel.body == noise
        assert read(channel, b"content-encoding") == []
        assert read(channel, b"vary") == [b"Accept-Encoding"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([b"Cookie"], [b"Cookie, Accept-Encoding"]),
        ([b"accept-encoding"], [b"accept-encoding"]),
        ([b"*"], [b"*"]),
        ([b"A", b"B"], [b"A, B, Accept-Encoding"]),
    ],
)
@pytest.mark.parametrize("accepted", ["gzip", ""])
async def test_vary_is_merged(given: list[bytes], sent: list[bytes], accepted: str) -> None:
    app = CompressMiddleware(answer_with(TEXT, *((b"vary", each) for each in given)))
    assert read(await ask(app, accepted), b"vary") == sent


async def test_a_strong_tag_becomes_a_weak_one_and_ranges_go() -> None:
    fields = [(b"etag", b'"a"'), (b"accept-ranges", b"bytes"), (b"x-other", b"1")]
    app = CompressMiddleware(answer_with(TEXT, *fields))
    channel = await ask(app, "br")
    assert read(channel, b"etag") == [b'W/"a"']
    assert read(channel, b"accept-ranges") == []
    assert read(channel, b"x-other") == [b"1"]
    plain = await ask(app)
    assert read(plain, b"etag") == [b'"a"']
    assert read(plain, b"accept-ranges") == [b"bytes"]
    weak = await ask(CompressMiddleware(answer_with(TEXT, (b"etag", b'W/"a"'))), "gzip")
    assert read(weak, b"etag") == [b'W/"a"']


LEFT_ALONE: list[tuple[str, ASGIApp]] = [
    ("204", answer_with(TEXT, status=204)),
    ("205", answer_with(TEXT, status=205)),
    ("206", answer_with(TEXT, status=206)),
    ("coded", answer_with(TEXT, (b"content-encoding", b"br"))),
    ("identity", answer_with(TEXT, (b"content-encoding", b"identity"))),
    ("range", answer_with(TEXT, (b"content-range", b"bytes 0-1/2"), status=416)),
    ("digest", answer_with(TEXT, (b"content-digest", b"sha-256=:AA==:"))),
    ("no-transform", answer_with(TEXT, (b"cache-control", b"public, No-Transform"))),
    (
        "no-transform first",
        answer_with(TEXT, (b"cache-control", b"no-transform"), (b"cache-control", b"public")),
    ),
    *(
        (each.decode(), answer_with(TEXT, content_type=each))
        for each in (
            *(b"image/png", b"IMAGE/JPEG; q=1", b"video/mp4", b"audio/ogg", b"application/zip"),
            *(b"application/grpc+proto", b"font/woff2", b"text/event-stream; charset=utf-8"),
            b"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        )
    ),
]


@pytest.mark.parametrize("accepted", ["gzip, br, zstd", "gzip, identity;q=0", ""])
@pytest.mark.parametrize(
    "app", [app for _, app in LEFT_ALONE], ids=[name for name, _ in LEFT_ALONE]
)
async def test_some_answers_are_left_alone(app: ASGIApp, accepted: str) -> None:
    bare = await ask(app, accepted)
    assert (await ask(CompressMiddleware(app), accepted)).messages == bare.messages


@pytest.mark.parametrize(
    "content_type",
    [b"application/json", b"image/svg+xml", b"text/html; charset=utf-8", b"", b"nonsense"],
)
async def test_other_types_are_compressed(content_type: bytes) -> None:
    channel = await ask(CompressMiddleware(answer_with(content_type=content_type)), "gzip")
    assert decode(channel) == TEXT
    assert read(channel, b"content-encoding") == [b"gzip"]


@pytest.mark.parametrize("accepted", ["gzip", ""])
async def test_head_has_the_fields_of_get_without_a_length_that_would_be_wrong(
    accepted: str,
) -> None:
    app = CompressMiddleware(answer_with(TEXT, (b"etag", b'"a"')))
    get, head = await ask(app, accepted), await ask(app, accepted, method="HEAD")
    fields = [field for field in get.messages[0]["headers"] if field[0] != b"content-length"]
    assert [
        field for field in head.messages[0]["headers"] if field[0] != b"content-length"
    ] == fields
    lengths = [] if accepted else [b"%d" % len(TEXT)]
    assert read(head, b"content-length") == lengths
    small = await ask(CompressMiddleware(answer_with(b"small")), accepted, method="HEAD")
    assert small.messages == (await ask(answer_with(b"small"))).messages


@pytest.mark.parametrize(("accepted", "etag"), [("gzip", b'W/"a"'), ("", b'"a"')])
async def test_not_modified_names_the_variant_that_the_client_has(
    accepted: str, etag: bytes
) -> None:
    """A strong tag in it would not fit what a cache has stored (RFC 9111 section 4.3.4)."""
    start = {"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"a"')]}
    channel = await ask(
        CompressMiddleware(send_all(start, {"type": "http.response.body"})), accepted
    )
    assert read(channel, b"etag") == [etag]
    assert read(channel, b"vary") == [b"Accept-Encoding"]
    assert channel.body == b""


async def test_messages_that_are_sent_again_and_again_stay_as_they_are() -> None:
    app = CompressMiddleware(answer_with(TEXT, (b"etag", b'"a"')))
    first = await ask(app, "gzip")
    assert (await ask(app, "gzip")).messages == first.messages
    assert (await ask(app)).body == TEXT


async def test_fields_may_be_any_iterable() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        fields = iter([(b"content-type", b"text/plain"), (b"x-a", b"1")])
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": memoryview(TEXT)})

    channel = await ask(CompressMiddleware(app), "gzip")
    assert read(channel, b"x-a") == [b"1"]
    assert read(channel, b"content-length") == [b"%d" % len(channel.body)]
    assert decode(channel) == TEXT


async def test_no_headers_at_all() -> None:
    start: Message = {"type": "http.response.start", "status": 200}
    app = send_all(start, {"type": "http.response.body", "body": TEXT})
    assert decode(await ask(CompressMiddleware(app), "br")) == TEXT
