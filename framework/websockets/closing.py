"""`WebSocketClose`: the application for WebSockets that nobody serves."""

from __future__ import annotations

from framework.types import Receive, Scope, Send

__all__ = ["WebSocketClose"]


class WebSocketClose:
    """An ASGI application that closes every WebSocket, or refuses it before it is accepted."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": self.code, "reason": self.reason})
