"""An application may send one and the same message to many clients: no layer writes into it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from framework.middleware.base import BaseHTTPMiddleware
from framework.middleware.compress import CompressMiddleware
from framework.middleware.cors import CORSMiddleware
from framework.middleware.etag import ETagMiddleware
from framework.middleware.gzip import GZipMiddleware
from framework.middleware.rate_limit import RateLimit, RateLimitMiddleware
from framework.middleware.security_headers import SecurityHeadersMiddleware
from framework.middleware.sessions import SessionMiddleware
from framework.middleware.timeout import TimeoutMiddleware
from framework.rate_limits import SharedMemoryStore
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.framework.asgi import build_scope, call
from tests.framework.middleware.dispatches import change

pytestmark = pytest.mark.anyio

BODY = b"hello " * 500


def build_start() -> Message:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]
    return {"type": "http.response.start", "status": 200, "headers": headers}


async def share(start: Message, scope: Scope, receive: Receive, send: Send) -> None:
    if "session" in scope:
        scope["session"]["user"] = "Ada"
    await send(start)
    await send({"type": "http.response.body", "body": BODY})


@pytest.mark.parametrize(
    "layer",
    [
        partial(BaseHTTPMiddleware, dispatch=change),
        CompressMiddleware,
        partial(CORSMiddleware, allow_origins=["https://good.example"]),
        ETagMiddleware,
        GZipMiddleware,
        partial(RateLimitMiddleware, limits=RateLimit(9, 1)),
        partial(SecurityHeadersMiddleware, content_security_policy="script-src 'nonce-{nonce}'"),
        partial(SessionMiddleware, secret_key="k" * 32),
        TimeoutMiddleware,
    ],
)
async def test_no_layer_writes_into_a_message(layer: Callable[..., ASGIApp], tmp_path: Any) -> None:
    options = {}
    if getattr(layer, "func", None) is RateLimitMiddleware:
        options["store"] = SharedMemoryStore(directory=tmp_path, max_keys=8)
    scope = build_scope("/", "GET", ("accept-encoding", "gzip"), ("origin", "https://good.example"))
    start = build_start()
    await call(layer(partial(share, start), **options), scope)
    assert start == build_start()
