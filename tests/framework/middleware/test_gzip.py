"""`GZipMiddleware`: Starlette's options on the machinery of `CompressMiddleware`."""

from __future__ import annotations

import os

import pytest

from framework.middleware.compress import CompressMiddleware
from framework.middleware.gzip import GZipMiddleware, GZipResponder, IdentityResponder
from tests.framework.middleware.compressing import TEXT, answer_with, ask, decode, read

pytestmark = pytest.mark.anyio


async def test_gzip_is_all_it_offers() -> None:
    app = GZipMiddleware(answer_with())
    assert isinstance(app, CompressMiddleware)
    for accepted in ("gzip", "br, zstd, gzip;q=0.1", "*"):
        channel = await ask(app, accepted)
        assert read(channel, b"content-encoding") == [b"gzip"]
        assert decode(channel) == TEXT
    for accepted in ("br, zstd", "gzip;q=0", "*;q=0", "not-gzip"):
        channel = await ask(app, accepted)
        assert read(channel, b"content-encoding") == []
        assert channel.body == TEXT


async def test_equal_bodies_give_equal_bytes() -> None:
    app = GZipMiddleware(answer_with())
    assert (await ask(app, "gzip")).body == (await ask(app, "gzip")).body


async def test_the_options_of_starlette() -> None:
    fast = await ask(GZipMiddleware(answer_with(), compresslevel=1), "gzip")
    best = await ask(GZipMiddleware(answer_with(), compresslevel=9), "gzip")
    stored = await ask(GZipMiddleware(answer_with(), 0, 0), "gzip, identity;q=0")
    assert len(best.body) <= len(fast.body) < len(TEXT) < len(stored.body)
    large = await ask(GZipMiddleware(answer_with(), minimum_size=len(TEXT) + 1), "gzip")
    assert large.body == TEXT
    app = GZipMiddleware(answer_with(), exclude_content_types=("TEXT/plain; charset=utf-8",))
    assert (await ask(app, "gzip")).body == TEXT


async def test_options_that_starlette_takes_for_all_and_for_nothing() -> None:
    app = GZipMiddleware(answer_with(), -1, 9, -1, exclude_content_types=("text", "plain"))
    assert len((await ask(app, "gzip")).body) < len(TEXT)


def test_a_level_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="=10: pass a level from -1 to 9"):
        GZipMiddleware(answer_with(), compresslevel=10)


async def test_a_body_that_gets_larger_is_compressed_as_the_size_says() -> None:
    for body in (b"", b"OK", os.urandom(2000)):
        channel = await ask(GZipMiddleware(answer_with(body), minimum_size=1), "gzip")
        assert read(channel, b"content-encoding") == ([b"gzip"] if body else [])
        assert (decode(channel) if body else channel.body) == body


@pytest.mark.parametrize("accepted", ["gzip", "br", "gzip;q=0"])
async def test_responders_leave_the_choice_to_their_caller(accepted: str) -> None:
    compressed = await ask(GZipResponder(answer_with(), 500, compresslevel=1), accepted)
    assert read(compressed, b"content-encoding") == [b"gzip"]
    assert decode(compressed) == TEXT
    plain = await ask(IdentityResponder(answer_with(), 500), accepted)
    assert read(plain, b"content-encoding") == []
    assert plain.body == TEXT
    for channel in (compressed, plain):
        assert read(channel, b"vary") == [b"Accept-Encoding"]


async def test_responders_have_the_options_of_the_middleware() -> None:
    large = await ask(GZipResponder(answer_with(), len(TEXT) + 1), "gzip")
    assert large.body == TEXT
    excluded = GZipResponder(answer_with(), 500, exclude_content_types=("text/plain",))
    assert (await ask(excluded, "gzip")).body == TEXT
    plain = IdentityResponder(answer_with(), 500, exclude_content_types=("text/plain",))
    assert read(await ask(plain, "gzip"), b"vary") == []
