"""What an exception means for the WebSocket of the endpoint that it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from framework.exceptions import WebSocketDisconnect, WebSocketException


def find_ending(exc: BaseException) -> Exception | None:
    """Return what a group of exceptions comes down to when all of them are about the end of a WebSocket."""
    if not isinstance(exc, ExceptionGroup):
        return None
    ending: Exception | None = None
    for member in _list_members(exc):
        if isinstance(member, WebSocketException):
            ending = member
        elif not isinstance(member, WebSocketDisconnect):
            return None
        elif ending is None:
            ending = member
    return ending


def _list_members(group: ExceptionGroup[Any]) -> Iterator[Exception]:
    for exc in group.exceptions:
        if isinstance(exc, ExceptionGroup):
            yield from _list_members(exc)
        else:
            yield exc
