"""The service with three faults that a load test has to find."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Final

from app.main import app as service

SLOW_SECONDS: Final = 0.3
_counter: Final = itertools.count()


async def app(scope: Any, receive: Any, send: Any) -> None:
    path = scope.get("path", "")
    if path == "/livez":
        await asyncio.sleep(SLOW_SECONDS)
    if path.startswith("/hello/") and scope["method"] == "GET" and next(_counter) % 2:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    if path == "/hello":
        foreign = (b"x-request-id", b"somebody-else")
        headers = [field for field in scope["headers"] if field[0] != b"x-request-id"]
        scope = {**scope, "headers": [*headers, foreign]}
    await service(scope, receive, send)
