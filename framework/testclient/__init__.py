"""Clients for tests that call an ASGI app without a server."""

from __future__ import annotations

from framework.testclient._asgi import ASGI2App, ASGI3App, ASGIInstance
from framework.testclient._async_session import AsyncWebSocketTestSession
from framework.testclient._session import WebSocketTestSession
from framework.testclient._websocket import WebSocketDenialResponse
from framework.testclient.async_client import AsyncTestClient
from framework.testclient.client import TestClient

__all__ = [
    "ASGI2App",
    "ASGI3App",
    "ASGIInstance",
    "AsyncTestClient",
    "AsyncWebSocketTestSession",
    "TestClient",
    "WebSocketDenialResponse",
    "WebSocketTestSession",
]
