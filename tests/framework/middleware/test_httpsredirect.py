"""`HTTPSRedirectMiddleware`: the same URL over TLS, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from framework.middleware.httpsredirect import HTTPSRedirectMiddleware
from framework.responses import PlainTextResponse
from framework.types import Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("secure")(scope, receive, send)
    else:
        await send({"type": f"{scope['type']}.passed"})


async def ask(path: str, *hosts: str, **changes: Any) -> Channel:
    """Send a request through the middleware."""
    scope = build_scope(path, "GET", *(("host", host) for host in hosts), **changes)
    return await call(HTTPSRedirectMiddleware(endpoint), scope)


@pytest.mark.parametrize(
    ("host", "path", "query", "location"),
    [
        ("a.example", "/", b"", "https://a.example/"),
        ("a.example:80", "/x", b"", "https://a.example/x"),
        ("a.example:443", "/x", b"", "https://a.example/x"),
        ("a.example:123", "/x", b"y=1&z=%20", "https://a.example:123/x?y=1&z=%20"),
        ("[::1]", "/", b"", "https://[::1]/"),
        ("[::1]:80", "/", b"", "https://[::1]/"),
        ("[::1]:8000", "/", b"", "https://[::1]:8000/"),
        ("a.example", "//evil.com/", b"", "https://a.example/%2Fevil.com/"),
        ("a.example", "/ä b?c#d", b"", "https://a.example/%C3%A4%20b%3Fc%23d"),
        ("a.example", "/\\evil.com", b"", "https://a.example/%5Cevil.com"),
        (
            "a.example",
            "/",
            b"next=//evil.com\r\nx: y",
            "https://a.example/?next=//evil.com%0D%0Ax:%20y",
        ),
    ],
)
async def test_host_path_and_query_are_kept(
    host: str, path: str, query: bytes, location: str
) -> None:
    channel = await ask(path, host, query_string=query)
    assert channel.status == 307
    assert channel.headers[b"location"] == location.encode()


@pytest.mark.parametrize(
    "hosts",
    [
        *((), ("",), ("a.example", "b.example"), ("evil.com/x",), ("a@b",), ("a b",), ("a:99999",)),
        *(("a\\b",), ("a?b",), ("a#b",), ("[::1",), ("a, b",)),
    ],
)
async def test_without_one_clear_host_there_is_no_target(hosts: tuple[str, ...]) -> None:
    channel = await ask("/", *hosts)
    assert channel.status == 400
    assert b"location" not in channel.headers


async def test_a_handshake_goes_to_wss() -> None:
    changes = {"type": "websocket", "scheme": "ws"}
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    channel = await ask("/ws", "a.example", **changes, extensions=extensions)
    assert channel.messages[0]["type"] == "websocket.http.response.start"
    assert channel.messages[0]["status"] == 307
    assert channel.headers[b"location"] == b"wss://a.example/ws"
    channel = await ask("/ws", "a.example", **changes)
    assert channel.messages[0]["type"] == "websocket.close"


async def test_what_is_secure_already_passes() -> None:
    assert (await ask("/", scheme="https")).body == b"secure"
    channel = await ask("/", type="websocket", scheme="wss")
    assert channel.messages == [{"type": "websocket.passed"}]
    channel = await call(HTTPSRedirectMiddleware(endpoint), {"type": "lifespan"})
    assert channel.messages == [{"type": "lifespan.passed"}]
