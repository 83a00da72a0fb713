"""From the beginning of a WebSocket endpoint to its end: whatever happens, the WebSocket is closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from framework._exception_handler import answer_handled
from framework.exceptions import HTTPException, WebSocketDisconnect, WebSocketException
from framework.types import Receive, Send
from framework.websockets import WebSocket
from framework.websockets._endings import find_ending

# Close codes (RFC 6455 section 7.4.1, and the registry that it opened).
_POLICY_VIOLATION = 1008
_INTERNAL_ERROR = 1011
_TRY_AGAIN_LATER = 1013


async def run_session(
    websocket: WebSocket[Any],
    endpoint: Callable[[WebSocket[Any]], Awaitable[None]],
    receive: Receive,
    send: Send,
) -> None:
    """Run an endpoint, answer its exception with the handler in scope, and close the WebSocket.

    With 1000, with the code of a `WebSocketException`, or with 1011 after any other exception, which is
    raised. A client that has gone is no error. What was never accepted is left to the server, unless
    there is a code to refuse it with. An `HTTPException` of an open WebSocket closes it: with 1008 for
    a status below 500, 1013 for 503, else 1011.
    """
    try:
        try:
            await endpoint(websocket)
        except Exception as raised:
            exc = find_ending(raised) or raised
            if isinstance(exc, HTTPException) and websocket.is_open:
                # No response fits in there any more.
                exc = _translate(exc)
            if not await answer_handled(exc, websocket, receive, send):
                if exc is raised:
                    raise
                raise exc from None
            await websocket.end(exc)
            return
    except WebSocketDisconnect:
        await websocket.end()
    except WebSocketException as exc:
        # Below no application, whose handlers do this.
        await websocket.close(exc.code, exc.reason)
    except Exception as exc:
        await websocket.end(exc)
        raise
    else:
        await websocket.end()


def _translate(exc: HTTPException) -> WebSocketException:
    """Return the close that says what the status of an HTTP response would."""
    if exc.status_code < 500:
        return WebSocketException(_POLICY_VIOLATION, exc.detail)
    return WebSocketException(
        _TRY_AGAIN_LATER if exc.status_code == 503 else _INTERNAL_ERROR, exc.detail
    )
