"""WebSockets, as their endpoints see them."""

from __future__ import annotations

from framework.exceptions import WebSocketDisconnect, WebSocketDisconnected
from framework.websockets._queue import Overflow
from framework.websockets._state import WebSocketState
from framework.websockets.closing import WebSocketClose
from framework.websockets.connection import WebSocket

__all__ = [
    "Overflow",
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
]
