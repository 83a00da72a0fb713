"""Both ends of an ASGI connection, for tests that need no client."""

from __future__ import annotations

from typing import Any

import anyio

from framework.types import ASGIApp, Message, Scope


def build_scope(
    path: str = "/", method: str = "GET", *headers: tuple[str, str], **changes: Any
) -> Scope:
    """Return the scope of an HTTP request as a server makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "client": ("203.0.113.9", 50123),
        "server": ("127.0.0.1", 8000),
        **changes,
    }


class Channel:
    """What the server gives and takes: `receive` hands out the body, `send` collects.

    After the body the client is gone, unless it `stays`; `messages` holds what was sent.
    """

    def __init__(self, *chunks: bytes, is_complete: bool = True, stays: bool = False) -> None:
        self._chunks = list(chunks)
        self._is_complete = is_complete
        self._stays = stays
        self.messages: list[Message] = []
        self.received = 0

    async def receive(self) -> Message:
        if not self._chunks:
            if self._stays:
                await anyio.sleep_forever()
            return {"type": "http.disconnect"}
        self.received += 1
        body = self._chunks.pop(0)
        more_body = bool(self._chunks) or not self._is_complete
        return {"type": "http.request", "body": body, "more_body": more_body}

    async def send(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        """The status that was sent."""
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The header fields that were sent."""
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        """The whole body that was sent."""
        return b"".join(message.get("body", b"") for message in self.messages[1:])


async def call(app: ASGIApp, scope: Scope, *chunks: bytes) -> Channel:
    """Send one request to an application; the client waits for the whole answer."""
    channel = Channel(*chunks or (b"",), stays=True)
    await app(scope, channel.receive, channel.send)
    return channel
