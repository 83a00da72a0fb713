"""What an exception means for a WebSocket, and which codes may end one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from framework.exceptions import WebSocketDisconnect, WebSocketDisconnected, WebSocketException

# In these words uvicorn's own protocols refuse to send once they have closed by themselves, as after a
# frame that is none.
_CLOSED_BY_SERVER: Final = "after sending 'websocket.close'"


def is_end_of_sending(exc: OSError | RuntimeError) -> bool:
    """Say whether it is no error of the application: the connection broke, or the server has closed it."""
    return isinstance(exc, OSError) or _CLOSED_BY_SERVER in str(exc)


def may_be_sent(code: int) -> bool:
    """Say whether a close frame may hold this code (RFC 6455 section 7.4, and the registry it opened)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999


def find_ending(exc: BaseException | None) -> Exception | None:
    """Return what a group of exceptions comes down to when all of them are about the end of a WebSocket.

    Of several tasks that send to a client that has gone, the first is told so; those that come to it
    before they are cancelled find the WebSocket closed.
    """
    if not isinstance(exc, ExceptionGroup):
        return None
    ending: Exception | None = None
    for member in _list_members(exc):
        if isinstance(member, WebSocketException):
            ending = member
        elif isinstance(member, WebSocketDisconnect):
            ending = ending or member
        elif not isinstance(member, WebSocketDisconnected):
            return None
    return ending


def _list_members(group: ExceptionGroup[Any]) -> Iterator[Exception]:
    for exc in group.exceptions:
        if isinstance(exc, ExceptionGroup):
            yield from _list_members(exc)
        else:
            yield exc
