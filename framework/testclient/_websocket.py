"""A WebSocket as a test sees it: the client's side, called from the thread of the test."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Final, Literal, Self, cast

import anyio
import httpx2
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal

from framework.exceptions import WebSocketDisconnect
from framework.types import ASGIApp, Message, Scope

# How long an app that knows of the end may still work before it is cancelled.
CLOSE_GRACE_SECONDS: Final = 1.0


class WebSocketDenialResponse(httpx2.Response, WebSocketDisconnect):  # type: ignore[misc]
    """Raised when the app answers the handshake with an HTTP response, and is that response."""

    code = 1006
    reason = ""


class WebSocketTestSession:
    """One WebSocket; entering it does the handshake, leaving it disconnects and ends the app.

    Attributes:
        accepted_subprotocol: what the app chose of the offered subprotocols.
        extra_headers: the headers that the app adds to the handshake.
    """

    accepted_subprotocol: str | None = None
    extra_headers: list[tuple[bytes, bytes]] | None = None
    portal: BlockingPortal
    _cancel_scope: anyio.CancelScope
    _ended: anyio.Event
    _exit_stack: ExitStack
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
        self._is_accepted = False
        self._has_disconnected = False
        self._has_app_closed = False
        self._reported: BaseException | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.portal = stack.enter_context(self.portal_factory())
            to_app = anyio.create_memory_object_stream[Message](math.inf)
            from_app = anyio.create_memory_object_stream[Message](math.inf)
            for stream in (*to_app, *from_app):
                stack.callback(stream.close)
            self._to_app, self._app_receives = to_app
            self._app_sends, self._from_app = from_app
            self._task, _ = self.portal.start_task(self._run)
            stack.push(self._end)
            self.send({"type": "websocket.connect"})
            self._take_handshake(self.receive())
            self._exit_stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._exit_stack.__exit__(exc_type, exc, traceback)

    def send(self, message: Message) -> None:
        """Send an ASGI message to the app."""
        self.portal.call(self._to_app.send_nowait, message)

    def send_text(self, data: str) -> None:
        """Send a text frame."""
        self.send({"type": "websocket.receive", "text": data})

    def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        self.send({"type": "websocket.receive", "bytes": data})

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> None:
        """Send JSON in a text frame, or in a binary one."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        if mode == "text":
            self.send_text(text)
        else:
            self.send_bytes(text.encode())

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Disconnect."""
        self._has_disconnected = True
        self.send({"type": "websocket.disconnect", "code": code, "reason": reason})

    def receive(self) -> Message:
        """Return the next ASGI message of the app.

        Raises:
            WebSocketDisconnect: the app has returned without closing the WebSocket (1006).
            Exception: whatever ended the app.
        """
        try:
            return self.portal.call(self._from_app.receive)
        except anyio.EndOfStream:
            self._reported = self._task.exception()
            if self._reported is not None:
                raise self._reported from None
        if not self._is_accepted:
            raise AssertionError("The app returned without accepting or closing the WebSocket.")
        raise WebSocketDisconnect(1006, "The app returned without closing the WebSocket.")

    def receive_text(self) -> str:
        """Return the next text frame; raise `WebSocketDisconnect` when the app closes."""
        return cast("str", self._receive_frame()["text"])

    def receive_bytes(self) -> bytes:
        """Return the next binary frame; raise `WebSocketDisconnect` when the app closes."""
        return cast("bytes", self._receive_frame()["bytes"])

    def receive_json(self, mode: Literal["text", "binary"] = "text") -> Any:
        """Return the JSON of the next frame; raise `WebSocketDisconnect` when the app closes."""
        return json.loads(self.receive_text() if mode == "text" else self.receive_bytes())

    def _receive_frame(self) -> Message:
        message = self.receive()
        self._raise_close(message)
        return message

    def _take_handshake(self, message: Message) -> None:
        self._raise_close(message)
        if message["type"] == "websocket.http.response.start":
            raise self._read_denial(message)
        if message["type"] != "websocket.accept":
            raise AssertionError(f"The app sent {message['type']!r} before 'websocket.accept'.")
        self._is_accepted = True
        self.accepted_subprotocol = message.get("subprotocol")
        self.extra_headers = message.get("headers")

    def _raise_close(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message.get("code", 1000), message.get("reason", ""))

    def _read_denial(self, start: Message) -> WebSocketDenialResponse:
        body: list[bytes] = []
        has_more = True
        while has_more:
            message = self.receive()
            if message["type"] != "websocket.http.response.body":
                raise AssertionError(f"The app sent {message['type']!r} in a denial response.")
            body.append(message.get("body", b""))
            has_more = message.get("more_body", False)
        return WebSocketDenialResponse(
            start["status"], headers=list(start.get("headers", ())), content=b"".join(body)
        )

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        """Call the app, in its loop."""
        self._ended = anyio.Event()
        try:
            with anyio.CancelScope() as self._cancel_scope:
                task_status.started()
                await self.app(self.scope, self._app_receives.receive, self._take)
        finally:
            self._ended.set()
            self._app_sends.close()

    async def _take(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            self._has_app_closed = True
        await self._app_sends.send(message)

    async def _hang_up(self) -> None:
        """Disconnect; cancel an app that does not notice, or does not end in time."""
        if not self._has_disconnected:
            message = {"type": "websocket.disconnect", "code": 1000, "reason": None}
            self._to_app.send_nowait(message)
        # Nothing in the buffer: the app has taken the message, or was waiting for it.
        if self._has_app_closed or not self._to_app.statistics().current_buffer_used:
            with anyio.move_on_after(CLOSE_GRACE_SECONDS):
                await self._ended.wait()
        self._cancel_scope.cancel()

    def _end(self, _type: object, exc: BaseException | None, _traceback: object) -> None:
        if not self._task.done():
            self.portal.call(self._hang_up)
        wait([self._task])
        error = self._task.exception()
        if error is not None and error is not exc and error is not self._reported:
            raise error
