"""`AsyncWebSocketTestSession`: the client's side of a WebSocket, in the loop of the test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Literal, Self

import anyio

from framework.testclient._loop_task import LoopTask
from framework.testclient._websocket import (
    FrameSender,
    WebSocketExchange,
    read_bytes,
    read_json,
    read_text,
)
from framework.types import ASGIApp, Message, Scope


class AsyncWebSocketTestSession(FrameSender[Awaitable[None]]):
    """One WebSocket; entering it does the handshake, leaving it disconnects and ends the app.

    The methods are those of `WebSocketTestSession`, to be awaited.

    Attributes:
        scope: the scope of the app, from the handshake on.
        accepted_subprotocol: what the app chose of the offered subprotocols.
        extra_headers: the headers that the app adds to the handshake.
    """

    scope: Scope
    _exchange: WebSocketExchange
    _task: LoopTask

    def __init__(self, app: ASGIApp, open_scope: Callable[[], Awaitable[Scope]]) -> None:
        self.app = app
        self._open_scope = open_scope

    async def __aenter__(self) -> Self:
        self.scope = await self._open_scope()
        self._exchange = WebSocketExchange(self.app, self.scope)
        self._task = LoopTask(self._exchange.run)
        try:
            self._take_handshake(await self._exchange.open())
        except BaseException as exc:
            await self._end(exc)
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end(exc)

    async def send(self, message: Message) -> None:
        """Send an ASGI message to the app."""
        await self._exchange.send(message)

    async def receive(self) -> Message:
        """Return the next ASGI message of the app.

        Raises:
            WebSocketDisconnect: the app has returned without closing the WebSocket (1006).
            Exception: whatever ended the app.
        """
        return await self._exchange.receive()

    async def receive_text(self) -> str:
        """Return the next text frame; raise `WebSocketDisconnect` when the app closes."""
        return read_text(await self._exchange.receive_frame())

    async def receive_bytes(self) -> bytes:
        """Return the next binary frame; raise `WebSocketDisconnect` when the app closes."""
        return read_bytes(await self._exchange.receive_frame())

    async def receive_json(self, mode: Literal["text", "binary"] = "text") -> Any:
        """Return the JSON of the next frame; raise `WebSocketDisconnect` when the app closes."""
        return read_json(await self._exchange.receive_frame(), mode)

    async def _end(self, exc: BaseException | None) -> None:
        # Also when the test is being cancelled: nothing of the app may outlive the session.
        with anyio.CancelScope(shield=True):
            if not self._task.has_ended:
                await self._exchange.hang_up()
            await self._task.join()
        self._exchange.conclude(exc)
