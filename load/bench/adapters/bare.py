"""The floor: an ASGI callable that looks its endpoint up by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from load.bench.cases import JSON_CONTENT, TEXT_BODY, RouteSpec

DISTRIBUTION: Final = None
WRONG_METHOD_STATUS: Final = 405

PLAIN: Final = "text/plain; charset=utf-8"


def build(routes: Sequence[RouteSpec]) -> Any:
    """Return the callable; the size of the table makes no difference to it."""
    del routes
    return answer


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Answer the measured requests without any framework."""
    del receive
    if scope["type"] != "http":
        return
    path = scope["path"]
    if scope["method"] != "GET":
        await respond(send, 405, b"Method Not Allowed", PLAIN)
    elif path == "/text":
        await respond(send, 200, TEXT_BODY, PLAIN)
    elif path == "/json":
        await respond(send, 200, msgspec.json.encode(dict(JSON_CONTENT)), "application/json")
    elif path.startswith("/users/") and path.count("/") == 4:
        _, _, name, _, number = path.split("/")
        await respond(send, 200, f"{name} {int(number) + 1}".encode(), PLAIN)
    else:
        await respond(send, 404, b"Not Found", PLAIN)


async def respond(send: Any, status: int, body: bytes, content_type: str) -> None:
    """Send one whole response."""
    headers = [
        (b"content-length", str(len(body)).encode("latin-1")),
        (b"content-type", content_type.encode("latin-1")),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
