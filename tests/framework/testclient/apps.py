"""Raw ASGI callables: the client is tested without the rest of the framework."""

from __future__ import annotations

import json
from typing import Any

from framework.types import ASGIApp, Message, Receive, Scope, Send


def start(status: int = 200, *headers: tuple[bytes, bytes], **extra: Any) -> Message:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **extra}


def body(content: bytes = b"", *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


async def read_body(receive: Receive) -> list[bytes]:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message["body"])
        if not message.get("more_body", False):
            return chunks


async def describe(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the scope and the body of the request as JSON; fields that are bytes by repr."""
    content = b"".join(await read_body(receive))
    headers = [[repr(name), repr(value)] for name, value in scope["headers"]]
    seen = {**scope, "headers": headers, "content": content.decode("latin-1")}
    text = json.dumps(seen, default=repr, sort_keys=True)
    await send(start(200, (b"content-type", b"application/json")))
    await send(body(text.encode()))


def sends(*messages: Message) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start(200, (b"content-type", b"text/plain"), (b"content-length", b"5")))
    await send(body(b"hello"))


class Lifespan:
    """Answers the lifespan, keeps what happened, hands everything else to `app`."""

    def __init__(self, app: Any = hello, state: dict[str, Any] | None = None) -> None:
        self.app = app
        self.state = state or {}
        self.events: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            self.events.append("request")
            await self.app(scope, receive, send)
            return
        scope["state"].update(self.state)
        for phase in ("startup", "shutdown"):
            message = await receive()
            self.events.append(message["type"].removeprefix("lifespan."))
            await send({"type": f"lifespan.{phase}.complete"})
