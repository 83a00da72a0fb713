"""The host that a request was sent to, and answers where nothing further in is to see the request."""

from __future__ import annotations

from framework._defaults import MAX_HOST_CHARACTERS
from framework._http.hosts import ParsedHost, find_host
from framework.responses import PlainTextResponse, Response
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocketClose

# The close code of a WebSocket that is refused by policy (RFC 6455 section 7.4.1).
_POLICY_VIOLATION = 1008


def find_request_host(scope: Scope, *, any_port: bool = False) -> ParsedHost | None:
    """Return the host of the request, None when there is no `Host` field, a malformed one, or two.

    One of more than `MAX_HOST_CHARACTERS` is malformed: no such host exists, and it is not remembered.
    Two are a way to show one host to a proxy and another to the application (RFC 9112 section 3.2).
    With `any_port` one that there cannot be is left out.
    """
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"host":
            if found is not None:
                return None
            found = value
    if found is None or len(found) > MAX_HOST_CHARACTERS:
        return None
    return find_host(found.decode("latin-1"), any_port=any_port)


async def refuse_host(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer that the request is for no host of this service: 400."""
    response = PlainTextResponse("Invalid host header", status_code=400)
    await answer(response, scope, receive, send)


async def answer(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send a response; to a WebSocket handshake where the server can, else close it."""
    is_http = scope["type"] == "http"
    if is_http or "websocket.http.response" in (scope.get("extensions") or ()):
        await response(scope, receive, send)
    else:
        await WebSocketClose(_POLICY_VIOLATION)(scope, receive, send)
