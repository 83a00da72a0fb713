"""`WebSocketState`: how far a WebSocket has come."""

from __future__ import annotations

import enum


class WebSocketState(enum.Enum):
    """How far one side of a WebSocket has come; `RESPONSE` is a refusal that is being sent."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    RESPONSE = 3
