"""The guard of headers that other parsers have read, and the choice of a parser."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

from framework.server.http.choice import HTTPTOOLS, ZTTP, choose_protocol
from framework.server.http.guard import HeaderGuard
from framework.server.http.limits import HttpLimits
from framework.server.http.protocol import HardenedHttpProtocol
from framework.types import Receive, Scope, Send
from tests.framework.asgi import build_scope, call

pytestmark = pytest.mark.anyio

HOST = ("Host", "a")


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    body = b" ".join(name for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def ask(
    path: str, method: str, *fields: tuple[str, str], **changes: Any
) -> tuple[int, bytes]:
    scope = build_scope(path, method, *fields, **changes)
    channel = await call(HeaderGuard(answer, HttpLimits()), scope)
    return channel.status, channel.body


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([HOST], 200),
        ([], 400),
        ([HOST, HOST], 400),
        ([("Host", "a@b")], 400),
        ([HOST, ("Content-Length", "1"), ("Content-Length", "1")], 400),
        ([HOST, ("Transfer-Encoding", "chunked")], 200),
        ([HOST, ("Transfer-Encoding", "gzip, chunked")], 501),
        ([HOST, ("X", "y" * 8189)], 200),
        ([HOST, ("X", "y" * 8190)], 431),
        ([HOST, *[("X", "y")] * 99], 200),
        ([HOST, *[("X_Y", "z")] * 100], 431),
        ([HOST, *[("X", "y" * 8000)] * 9], 431),
    ],
)
async def test_fields_are_checked(fields: list[tuple[str, str]], status: int) -> None:
    assert (await ask("/", "GET", *fields))[0] == status


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/", "GET", 200),
        ("*", "OPTIONS", 204),
        ("*", "GET", 400),
        ("http://a/x", "GET", 200),
        ("http://b/", "GET", 400),
        ("x", "GET", 400),
        ("/", "CONNECT", 400),
        ("/" + "x" * 8190, "GET", 414),
    ],
)
async def test_targets_are_checked(path: str, method: str, status: int) -> None:
    assert (await ask(path, method, HOST))[0] == status


async def test_chunks_do_not_exist_in_http_1_0() -> None:
    fields = [HOST, ("Transfer-Encoding", "chunked")]
    assert (await ask("/", "GET", *fields, http_version="1.0"))[0] == 400


async def test_fields_with_underscores_are_dropped() -> None:
    fields = [HOST, ("X_Forwarded_For", "6.6.6.6"), ("X-Forwarded_For", "6.6.6.6"), ("Accept", "*")]
    assert await ask("/", "GET", *fields) == (200, b"host accept")


async def test_a_handshake_with_a_body_is_refused() -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = build_scope("/", "GET", HOST, ("Content-Length", "3"), type="websocket")
    await HeaderGuard(answer, HttpLimits())(scope, receive, send)
    assert sent == [{"type": "websocket.close"}]


async def test_the_lifespan_passes() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    unused: Any = None
    await HeaderGuard(app, HttpLimits())({"type": "lifespan"}, unused, unused)
    assert seen == [{"type": "lifespan"}]


def test_the_hardened_protocol_reads_with_httptools() -> None:
    limits = HttpLimits(header_seconds=3)
    protocol = choose_protocol(HTTPTOOLS, limits)
    assert isinstance(protocol, functools.partial)
    assert protocol.func is HardenedHttpProtocol
    assert protocol.keywords == {"limits": limits}


def test_nothing_stands_in_for_a_parser_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ZTTP, None)
    with pytest.raises(ImportError, match="pip install zttp"):
        choose_protocol(ZTTP, HttpLimits())
