"""A client for tests that calls an ASGI app without a server."""

from __future__ import annotations

from framework.testclient._websocket import WebSocketDenialResponse, WebSocketTestSession
from framework.testclient.client import TestClient

__all__ = ["TestClient", "WebSocketDenialResponse", "WebSocketTestSession"]
