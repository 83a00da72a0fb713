"""`iterate`: what a WebSocket receives, one after the other, until its client has gone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

from framework._callables import is_plain
from framework.exceptions import WebSocketDisconnect
from framework.types import Message
from framework.websockets._state import WebSocketState

T = TypeVar("T")

_CONNECTED = WebSocketState.CONNECTED


async def iterate(
    websocket: Any, name: str, plain: Mapping[str, Any], take: Callable[[Message], T]
) -> AsyncIterator[T]:
    """Give what the method of a `WebSocket` called `name` receives.

    PERF: where neither it nor `receive` has been replaced, neither is called: `take` makes of a message
    what the method would. `plain` holds both as `WebSocket` defines them.
    """
    receive_one = getattr(websocket, name)
    is_own = is_plain(receive_one, plain[name]) and is_plain(websocket.receive, plain["receive"])
    try:
        while True:
            if (
                is_own
                and websocket.application_state is _CONNECTED
                and websocket.client_state is _CONNECTED
            ):
                websocket._until_checkpoint -= 1  # noqa: SLF001
                if websocket._until_checkpoint <= 0:  # noqa: SLF001
                    await websocket._give_turn()  # noqa: SLF001 - a part of it
                receive = websocket._receive  # noqa: SLF001
                message = await receive()
                if message["type"] != "websocket.receive":
                    websocket._take_disconnect(message)  # noqa: SLF001
                yield take(message)
            else:
                yield await receive_one()
    except WebSocketDisconnect:
        pass
