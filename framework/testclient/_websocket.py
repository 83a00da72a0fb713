"""One WebSocket as ASGI messages: the server's side, which runs in the app's loop, and the frames.

The two sessions, which a test holds, hand their calls on to `WebSocketExchange`.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from typing import Any, Final, Generic, Literal, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskStatus

from framework.exceptions import WebSocketDisconnect
from framework.testclient._httpx import httpx2
from framework.types import ASGIApp, Message, Scope

# How long an app that knows of the end may still work before it is cancelled.
CLOSE_GRACE_SECONDS: Final = 1.0

# How many rounds of its loop an app that is busy has to come back to its `receive()`.
NOTICE_ROUNDS: Final = 20

Sent = TypeVar("Sent")


class WebSocketDenialResponse(httpx2.Response, WebSocketDisconnect):  # type: ignore[misc]
    """Raised when the app answers the handshake with an HTTP response, and is that response."""

    code = 1006
    reason = ""


class FrameSender(ABC, Generic[Sent]):
    """What a test sends; `Sent` is None where it is sent at once, else something to await."""

    accepted_subprotocol: str | None = None
    extra_headers: list[tuple[bytes, bytes]] | None = None

    @abstractmethod
    def send(self, message: Message) -> Sent:
        """Send an ASGI message to the app."""

    def send_text(self, data: str) -> Sent:
        """Send a text frame."""
        return self.send({"type": "websocket.receive", "text": data})

    def send_bytes(self, data: bytes) -> Sent:
        """Send a binary frame."""
        return self.send({"type": "websocket.receive", "bytes": data})

    def send_json(self, data: Any, mode: Literal["text", "binary"] = "text") -> Sent:
        """Send JSON in a text frame, or in a binary one."""
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        return self.send_text(text) if mode == "text" else self.send_bytes(text.encode())

    def close(self, code: int = 1000, reason: str | None = None) -> Sent:
        """Disconnect."""
        return self.send({"type": "websocket.disconnect", "code": code, "reason": reason})

    def _take_handshake(self, message: Message) -> None:
        self.accepted_subprotocol = message.get("subprotocol")
        self.extra_headers = message.get("headers")


class WebSocketExchange:
    """Plays the server for one WebSocket; only made and closed outside of the app's loop."""

    __slots__ = (
        "_app",
        "_app_receives",
        "_app_sends",
        "_cancel_scope",
        "_ended",
        "_from_app",
        "_has_app_closed",
        "_has_disconnected",
        "_is_aborted",
        "_is_accepted",
        "_reported",
        "_scope",
        "_to_app",
        "error",
    )

    def __init__(self, app: ASGIApp, scope: Scope) -> None:
        self._app = app
        self._scope = scope
        self._to_app, self._app_receives = anyio.create_memory_object_stream[Message](math.inf)
        self._app_sends, self._from_app = anyio.create_memory_object_stream[Message](math.inf)
        self._cancel_scope: anyio.CancelScope | None = None
        self._is_aborted = False
        self._is_accepted = False
        self._has_disconnected = False
        self._has_app_closed = False
        self._reported: BaseException | None = None
        self.error: BaseException | None = None

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Call the app; raise what it raises."""
        self._ended = anyio.Event()
        try:
            with anyio.CancelScope() as self._cancel_scope:
                task_status.started()
                if not self._is_aborted:
                    await self._app(self._scope, self._app_receives.receive, self._take)
        except BaseException as exc:
            self.error = exc
            raise
        finally:
            self._ended.set()
            self._app_sends.close()

    async def open(self) -> Message:
        """Do the handshake; return how the app accepted, raise how it did not."""
        await self.send({"type": "websocket.connect"})
        message = await self.receive()
        raise_close(message)
        if message["type"] == "websocket.http.response.start":
            raise await self._read_denial(message)
        if message["type"] != "websocket.accept":
            raise AssertionError(f"The app sent {message['type']!r} before 'websocket.accept'.")
        self._is_accepted = True
        return message

    async def send(self, message: Message) -> None:
        """Send a message to the app, which takes it when it likes."""
        if message["type"] == "websocket.disconnect":
            self._has_disconnected = True
        self._to_app.send_nowait(message)

    async def receive(self) -> Message:
        """Return the next message of the app; raise what ended it."""
        try:
            return await self._from_app.receive()
        except anyio.EndOfStream:
            end = self._explain_end()
        raise end

    async def receive_frame(self) -> Message:
        """Return the next message of the app that does not close the WebSocket."""
        message = await self.receive()
        raise_close(message)
        return message

    async def hang_up(self) -> None:
        """Disconnect; cancel an app that does not notice, or does not end in time."""
        self._is_aborted = True
        if self._cancel_scope is None:
            return  # it has not begun and never will
        if not self._has_disconnected:
            await self.send({"type": "websocket.disconnect", "code": 1000, "reason": None})
        for _ in range(NOTICE_ROUNDS):
            if not self._has_unread():
                break
            await anyio.lowlevel.checkpoint()
        # Nothing in the buffer: the app has taken the message, or was waiting for it.
        if self._has_app_closed or not self._has_unread():
            with anyio.move_on_after(CLOSE_GRACE_SECONDS):
                await self._ended.wait()
        self._cancel_scope.cancel()

    def _has_unread(self) -> bool:
        return self._to_app.statistics().current_buffer_used > 0

    def conclude(self, error_of_test: BaseException | None) -> None:
        """Free what is left; raise what ended the app, unless the test knows it already."""
        for stream in (self._to_app, self._app_receives, self._app_sends, self._from_app):
            stream.close()
        error = self.error
        if error is not None and error is not error_of_test and error is not self._reported:
            raise error

    def _explain_end(self) -> BaseException:
        if self.error is not None:
            self._reported = self.error
            return self.error
        if not self._is_accepted:
            return AssertionError("The app returned without accepting or closing the WebSocket.")
        return WebSocketDisconnect(1006, "The app returned without closing the WebSocket.")

    async def _take(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            self._has_app_closed = True
        await self._app_sends.send(message)

    async def _read_denial(self, start: Message) -> WebSocketDenialResponse:
        body: list[bytes] = []
        has_more = True
        while has_more:
            message = await self.receive()
            if message["type"] != "websocket.http.response.body":
                raise AssertionError(f"The app sent {message['type']!r} in a denial response.")
            body.append(message.get("body", b""))
            has_more = message.get("more_body", False)
        return WebSocketDenialResponse(
            start["status"], headers=list(start.get("headers", ())), content=b"".join(body)
        )


def raise_close(message: Message) -> None:
    """Raise `WebSocketDisconnect` when the app closes the WebSocket with this message."""
    if message["type"] == "websocket.close":
        raise WebSocketDisconnect(code=message.get("code", 1000), reason=message.get("reason", ""))


def read_text(message: Message) -> str:
    """Return the content of a text frame."""
    text: str = message["text"]
    return text


def read_bytes(message: Message) -> bytes:
    """Return the content of a binary frame."""
    data: bytes = message["bytes"]
    return data


def read_json(message: Message, mode: Literal["text", "binary"]) -> Any:
    """Return the JSON in a frame of this kind."""
    return json.loads(read_text(message) if mode == "text" else read_bytes(message))
