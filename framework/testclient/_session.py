"""`WebSocketTestSession`: the client's side of a WebSocket, called from the thread of the test."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Literal, Self

from anyio.from_thread import BlockingPortal

from framework.testclient._websocket import (
    FrameSender,
    WebSocketExchange,
    read_bytes,
    read_json,
    read_text,
)
from framework.types import ASGIApp, Message, Scope


class WebSocketTestSession(FrameSender[None]):
    """One WebSocket; entering it does the handshake, leaving it disconnects and ends the app.

    Attributes:
        accepted_subprotocol: what the app chose of the offered subprotocols.
        extra_headers: the headers that the app adds to the handshake.
    """

    portal: BlockingPortal
    _exchange: WebSocketExchange
    exit_stack: ExitStack
    _task: Future[None]

    def __init__(
        self,
        app: ASGIApp,
        scope: Scope,
        portal_factory: Callable[[], AbstractContextManager[BlockingPortal]],
    ) -> None:
        self.app = app
        self.scope = scope
        self.portal_factory = portal_factory

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.portal = stack.enter_context(self.portal_factory())
            self._exchange = WebSocketExchange(self.app, self.scope)
            stack.push(self._conclude)
            self._task, _ = self.portal.start_task(self._exchange.run)
            stack.callback(self._hang_up)
            self._take_handshake(self.portal.call(self._exchange.open))
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.exit_stack.__exit__(exc_type, exc, traceback)

    def send(self, message: Message) -> None:
        """Send an ASGI message to the app."""
        self.portal.call(self._exchange.send, message)

    def receive(self) -> Message:
        """Return the next ASGI message of the app.

        Raises:
            WebSocketDisconnect: the app has returned without closing the WebSocket (1006).
            Exception: whatever ended the app.
        """
        return self.portal.call(self._exchange.receive)

    def receive_text(self) -> str:
        """Return the next text frame; raise `WebSocketDisconnect` when the app closes."""
        return read_text(self.portal.call(self._exchange.receive_frame))

    def receive_bytes(self) -> bytes:
        """Return the next binary frame; raise `WebSocketDisconnect` when the app closes."""
        return read_bytes(self.portal.call(self._exchange.receive_frame))

    def receive_json(self, mode: Literal["text", "binary"] = "text") -> Any:
        """Return the JSON of the next frame; raise `WebSocketDisconnect` when the app closes."""
        return read_json(self.portal.call(self._exchange.receive_frame), mode)

    def _hang_up(self) -> None:
        if not self._task.done():
            self.portal.call(self._exchange.hang_up)
        wait([self._task])

    def _conclude(self, _type: object, exc: BaseException | None, _traceback: object) -> None:
        self._exchange.conclude(exc)
