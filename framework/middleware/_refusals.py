"""How middleware answers a request that it does not let through."""

from __future__ import annotations

from typing import Any

from framework._exception_handler import HANDLERS_SCOPE_KEY, answer_handled
from framework.exceptions import HTTPException
from framework.middleware.exceptions import build_handler_tables
from framework.requests import Request
from framework.responses import PlainTextResponse
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocket

# The close code of a WebSocket that may be tried again later (IANA registry of RFC 6455).
_TRY_AGAIN_LATER = 1013


async def answer_refusal(exc: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `exc` with the application's handler for it, as if an endpoint had raised it.

    The answer passes the middleware further out only. Outside of an application it is plain text. A
    WebSocket handshake is refused with the same response where the server can send one, else closed.
    """
    app = scope.get("app")
    if HANDLERS_SCOPE_KEY not in scope and app is not None:
        # It builds a stack of its own, whose layer that puts the handlers there lies further in.
        scope[HANDLERS_SCOPE_KEY] = build_handler_tables(getattr(app, "exception_handlers", None))
    conn: Request[Any] | WebSocket[Any]
    if scope["type"] == "http":
        conn = Request(scope, receive, send)
    elif "websocket.http.response" in scope.get("extensions", {}):
        conn = WebSocket(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER, "reason": exc.detail})
        return
    if not await answer_handled(exc, conn, receive, send):
        await PlainTextResponse(exc.detail, exc.status_code, exc.headers)(scope, receive, send)
