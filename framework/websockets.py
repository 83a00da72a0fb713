"""`WebSocket`: one WebSocket connection, as its endpoint sees it."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Iterable
from typing import Any, NoReturn

import msgspec

from framework._connection import HTTPConnection, StateT
from framework.exceptions import (
    UnexpectedFrame,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketJSONDecodeError,
)
from framework.responses import Response
from framework.responses.base import encode_json
from framework.types import Message, Receive, Scope, Send

__all__ = [
    "WebSocket",
    "WebSocketClose",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketState",
]

_parse_json = msgspec.json.Decoder().decode


class WebSocketState(enum.Enum):
    """How far one side of a WebSocket has come; `RESPONSE` is a refusal that is being sent."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2
    RESPONSE = 3


# PERF: every frame asks for a state; as names of the module they cost half of what attributes cost.
_CONNECTING = WebSocketState.CONNECTING
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED
_RESPONSE = WebSocketState.RESPONSE


class WebSocket(HTTPConnection[StateT]):
    """A WebSocket: `accept` it, then receive and send until one side closes.

    Attributes:
        client_state: what the client has done so far.
        application_state: what the application has done so far.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise ValueError(f"scope type {scope['type']!r} is no WebSocket")
        self.scope = scope
        self._receive = receive
        self._send = send
        self.client_state = _CONNECTING
        self.application_state = _CONNECTING

    async def receive(self) -> Message:
        """Return the next ASGI message.

        Raises:
            WebSocketDisconnected: the disconnect was received before.
            RuntimeError: the server sent what has no place here.
        """
        if self.client_state is _CONNECTED:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self.client_state = _DISCONNECTED
            elif message["type"] != "websocket.receive":
                _refuse(message, "websocket.receive", "websocket.disconnect")
            return message
        if self.client_state is _CONNECTING:
            message = await self._receive()
            if message["type"] != "websocket.connect":
                _refuse(message, "websocket.connect")
            self.client_state = _CONNECTED
            return message
        raise WebSocketDisconnected("receive() was called after the client had disconnected")

    async def send(self, message: Message) -> None:
        """Send an ASGI message.

        Raises:
            WebSocketDisconnect: the connection broke (1006).
            WebSocketDisconnected: a close, or a whole refusal, was sent before.
            RuntimeError: the message has no place here, such as a frame before `accept`.
        """
        kind = message["type"]
        if self.application_state is _CONNECTED:
            if kind == "websocket.close":
                self.application_state = _DISCONNECTED
            elif kind != "websocket.send":
                _refuse(message, "websocket.send", "websocket.close")
            try:
                await self._send(message)
            except OSError as exc:
                self.application_state = _DISCONNECTED
                raise WebSocketDisconnect(code=1006) from exc
            return
        if self.application_state is _DISCONNECTED:
            raise WebSocketDisconnected(f"{kind!r} was sent after the WebSocket had been closed")
        if self.application_state is _RESPONSE:
            if kind != "websocket.http.response.body":
                _refuse(message, "websocket.http.response.body")
            if not message.get("more_body", False):
                self.application_state = _DISCONNECTED
        elif kind == "websocket.accept":
            self.application_state = _CONNECTED
        elif kind == "websocket.close":
            self.application_state = _DISCONNECTED
        elif kind == "websocket.http.response.start":
            self.application_state = _RESPONSE
        else:
            _refuse(message, "websocket.accept", "websocket.close", "websocket.http.response.start")
        await self._send(message)

    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] | None = None,
    ) -> None:
        """Accept the handshake, with one of `scope["subprotocols"]` and more header fields if given."""
        if self.client_state is _CONNECTING:
            await self.receive()
        await self.send(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers or []}
        )

    async def _receive_frame(self) -> Message:
        if self.application_state is not _CONNECTED:
            raise WebSocketDisconnected(
                "The WebSocket is not open: call accept() before receiving, and nothing after close()"
            )
        message = await self.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))
        return message

    async def receive_text(self) -> str:
        """Return the next text frame.

        Raises:
            WebSocketDisconnect: the client has gone.
            UnexpectedFrame: a binary frame came; closes with 1003 unless caught.
            WebSocketDisconnected: the WebSocket is not open.
        """
        text: str | None = (await self._receive_frame()).get("text")
        if text is None:
            raise UnexpectedFrame("text")
        return text

    async def receive_bytes(self) -> bytes:
        """Return the next binary frame. Raises as `receive_text` does."""
        data: bytes | None = (await self._receive_frame()).get("bytes")
        if data is None:
            raise UnexpectedFrame("binary")
        return data

    async def receive_json(self, mode: str = "text") -> Any:
        """Return the JSON of the next text frame, or binary frame where `mode` is `"binary"`.

        Raises:
            WebSocketJSONDecodeError: the frame is not JSON; closes with 1007 unless caught.
            WebSocketDisconnect, UnexpectedFrame, WebSocketDisconnected: as `receive_text` does.
        """
        _check_mode(mode)
        frame = await (self.receive_text() if mode == "text" else self.receive_bytes())
        try:
            return _parse_json(frame)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
            raise WebSocketJSONDecodeError(str(exc)) from None

    async def iter_text(self) -> AsyncIterator[str]:
        """Iterate over text frames until the client has gone."""
        try:
            while True:
                yield await self.receive_text()
        except WebSocketDisconnect:
            pass

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Iterate over binary frames until the client has gone."""
        try:
            while True:
                yield await self.receive_bytes()
        except WebSocketDisconnect:
            pass

    async def iter_json(self) -> AsyncIterator[Any]:
        """Iterate over the JSON of text frames until the client has gone."""
        try:
            while True:
                yield await self.receive_json()
        except WebSocketDisconnect:
            pass

    async def send_text(self, data: str) -> None:
        """Send a text frame."""
        await self.send({"type": "websocket.send", "text": data})

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        await self.send({"type": "websocket.send", "bytes": data})

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON, as `JSONResponse` does, in a frame of the given `mode`."""
        _check_mode(mode)
        encoded = encode_json(data)
        if mode == "text":
            await self.send({"type": "websocket.send", "text": encoded.decode()})
        else:
            await self.send({"type": "websocket.send", "bytes": encoded})

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the WebSocket, or refuse the handshake (403) where it was not accepted."""
        await self.send({"type": "websocket.close", "code": code, "reason": reason or ""})

    async def send_denial_response(self, response: Response) -> None:
        """Refuse the handshake with an HTTP response. Raises `RuntimeError` where the server cannot."""
        if "websocket.http.response" not in self.scope.get("extensions", {}):
            raise RuntimeError(
                "The server does not offer WebSocket denial responses; use close() instead"
            )
        await response(self.scope, self.receive, self.send)


class WebSocketClose:
    """An ASGI application that closes every WebSocket, or refuses it before it is accepted."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": self.code, "reason": self.reason})


def _refuse(message: Message, *expected: str) -> NoReturn:
    names = " or ".join(repr(name) for name in expected)
    raise RuntimeError(f"Expected ASGI message {names}, but got {message['type']!r}")


def _check_mode(mode: str) -> None:
    if mode not in ("text", "binary"):
        raise RuntimeError(f"mode={mode!r} is neither 'text' nor 'binary'")
