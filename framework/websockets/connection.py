"""`WebSocket`: one WebSocket connection, as its endpoint sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.lowlevel

from framework._callables import mark_coroutine_function
from framework._connection import HTTPConnection, StateT
from framework._defaults import (
    MESSAGES_BETWEEN_CHECKPOINTS,
    WEBSOCKET_CLOSE_SECONDS,
    WEBSOCKET_SEND_SECONDS,
)
from framework.exceptions import WebSocketDisconnect, WebSocketDisconnected, WebSocketException
from framework.responses import Response
from framework.responses.base import encode_json
from framework.types import Message, Receive, Scope, Send
from framework.websockets import _frames as frames
from framework.websockets._buffers import Buffers
from framework.websockets._endings import find_ending, is_end_of_sending, may_be_sent
from framework.websockets._iteration import iterate
from framework.websockets._queue import Overflow
from framework.websockets._state import WebSocketState

__all__ = ["WebSocket"]

_INTERNAL_ERROR = 1011
_REASON_BYTES = 123


# PERF: every frame asks for a state; as names of the module they cost half of what attributes cost.
_CONNECTING = WebSocketState.CONNECTING
_CONNECTED = WebSocketState.CONNECTED
_DISCONNECTED = WebSocketState.DISCONNECTED
_RESPONSE = WebSocketState.RESPONSE


class WebSocket(HTTPConnection[StateT]):
    """A WebSocket: `accept` it, then receive and send until one side closes.

    `async with websocket:` accepts it and closes it whatever happens: with 1000, with the code of a
    `WebSocketException`, with 1011 after any other. `async for message in websocket` gives text and
    bytes as they come and ends when the client does. `open` adds queues and time-outs.

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
        # Sending has failed. Nobody here has closed it, so its end is yet to be received.
        self._is_broken = False
        self._until_checkpoint = MESSAGES_BETWEEN_CHECKPOINTS

    @property
    def is_open(self) -> bool:
        """Whether it was accepted and neither side has closed it, as far as is known here."""
        return self.application_state is _CONNECTED and self.client_state is _CONNECTED

    async def receive(self) -> Message:
        """Return the next ASGI message.

        Raises:
            WebSocketDisconnected: the disconnect was received before.
            RuntimeError: the server sent what has no place here.
        """
        if self.client_state is _CONNECTED:
            self._until_checkpoint -= 1
            if self._until_checkpoint <= 0:
                await self._give_turn()  # before: a cancelled one has taken nothing
            receive = self._receive  # PERF: as a method CPython 3.11 would look it up slowly
            message = await receive()
            if message["type"] != "websocket.receive":
                self._take_disconnect(message)
            return message
        if self.client_state is _CONNECTING:
            message = await self._receive()
            if message["type"] != "websocket.connect":
                frames.refuse_message(message, "websocket.connect")
            self.client_state = _CONNECTED
            return message
        raise WebSocketDisconnected("receive() was called after the client had disconnected")

    async def send(self, message: Message) -> None:
        """Send an ASGI message.

        Raises:
            WebSocketDisconnect: the connection broke, or the server has closed it (1006).
            WebSocketDisconnected: a close, or a whole refusal, was sent before.
            RuntimeError: the message has no place here, such as a frame before `accept`.
        """
        kind = message["type"]
        if self.application_state is _CONNECTED:
            if kind != "websocket.send":
                if kind != "websocket.close":
                    frames.refuse_message(message, "websocket.send", "websocket.close")
                self.application_state = _DISCONNECTED
            send = self._send  # PERF: as in `receive`
            try:
                await send(message)
            except (OSError, RuntimeError) as exc:
                if not is_end_of_sending(exc):
                    raise
                self.application_state = _DISCONNECTED
                self._is_broken = True
                raise WebSocketDisconnect(code=1006) from exc
            self._until_checkpoint -= 1
            if self._until_checkpoint <= 0:
                await self._give_turn()
            return
        if self.application_state is _DISCONNECTED:
            raise WebSocketDisconnected(f"{kind!r} was sent after the WebSocket had been closed")
        if self.application_state is _RESPONSE:
            if kind != "websocket.http.response.body":
                frames.refuse_message(message, "websocket.http.response.body")
            if not message.get("more_body", False):
                self.application_state = _DISCONNECTED
        elif kind == "websocket.accept":
            self.application_state = _CONNECTED
        elif kind == "websocket.close":
            self.application_state = _DISCONNECTED
        elif kind == "websocket.http.response.start":
            self.application_state = _RESPONSE
        else:
            frames.refuse_message(
                message, "websocket.accept", "websocket.close", "websocket.http.response.start"
            )
        await self._send(message)

    async def _give_turn(self) -> None:
        """Let others run: neither a client that reads fast nor one that sends much lets us wait."""
        self._until_checkpoint = MESSAGES_BETWEEN_CHECKPOINTS
        await anyio.lowlevel.checkpoint()

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

    def _take_disconnect(self, message: Message) -> None:
        if message["type"] != "websocket.disconnect":
            frames.refuse_message(message, "websocket.receive", "websocket.disconnect")
        self.client_state = _DISCONNECTED

    def _require_open(self) -> None:
        # What broke has an end that is yet to be received.
        if self.application_state is not _CONNECTED and not self._is_broken:
            raise WebSocketDisconnected(
                "The WebSocket is not open: call accept() before receiving, and nothing after close()"
            )

    def _raise_on_disconnect(self, message: Message) -> None:
        # The name under which other people's code calls it.
        frames.raise_on_disconnect(message)

    async def receive_text(self) -> str:
        """Return the next text frame.

        Raises:
            WebSocketDisconnect: the client has gone.
            UnexpectedFrame: a binary frame came; closes with 1003 unless caught.
            WebSocketDisconnected: the WebSocket is not open.
        """
        self._require_open()
        return frames.take_text(await self.receive())

    async def receive_bytes(self) -> bytes:
        """Return the next binary frame. Raises as `receive_text` does."""
        self._require_open()
        return frames.take_bytes(await self.receive())

    async def receive_json(self, mode: str = "text") -> Any:
        """Return the JSON of the next text frame, or binary frame where `mode` is `"binary"`.

        Raises:
            WebSocketJSONDecodeError: the frame is not JSON; closes with 1007 unless caught.
            WebSocketDisconnect, UnexpectedFrame, WebSocketDisconnected: as `receive_text` does.
        """
        frames.check_mode(mode)
        self._require_open()
        message = await self.receive()
        return frames.parse_json(
            frames.take_text(message) if mode == "text" else frames.take_bytes(message)
        )

    async def _receive_either(self) -> str | bytes:
        if self.application_state is _DISCONNECTED and not self._is_broken:
            # Another task has closed it while a message was worked on.
            raise WebSocketDisconnect
        self._require_open()
        return frames.take_either(await self.receive())

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return iterate(self, "_receive_either", _PLAIN, frames.take_either)

    def iter_text(self) -> AsyncIterator[str]:
        """Iterate over text frames until the client has gone."""
        return iterate(self, "receive_text", _PLAIN, frames.take_text)

    def iter_bytes(self) -> AsyncIterator[bytes]:
        """Iterate over binary frames until the client has gone."""
        return iterate(self, "receive_bytes", _PLAIN, frames.take_bytes)

    def iter_json(self) -> AsyncIterator[Any]:
        """Iterate over the JSON of text frames until the client has gone."""
        return iterate(self, "receive_json", _PLAIN, frames.take_json_text)

    # PERF: what gives the coroutine of another needs none of its own.
    @mark_coroutine_function
    def send_text(self, data: str) -> Coroutine[Any, Any, None]:
        """Send a text frame."""
        return self.send({"type": "websocket.send", "text": data})

    @mark_coroutine_function
    def send_bytes(self, data: bytes) -> Coroutine[Any, Any, None]:
        """Send a binary frame."""
        return self.send({"type": "websocket.send", "bytes": data})

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON, as `JSONResponse` does, in a frame of the given `mode`."""
        frames.check_mode(mode)
        encoded = encode_json(data)
        if mode == "text":
            await self.send({"type": "websocket.send", "text": encoded.decode()})
        else:
            await self.send({"type": "websocket.send", "bytes": encoded})

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the WebSocket, or refuse the handshake (403) where it was not accepted.

        Does nothing when it is closed already, by another task or by the client. A reason is cut to the
        123 bytes that a close frame has room for (RFC 6455 section 5.5).

        Raises:
            ValueError: no close frame may hold the code.
        """
        if self.application_state is _DISCONNECTED:
            return
        if self.is_open and not may_be_sent(code):
            raise ValueError(f"code={code!r} cannot be sent: use 1000, 1008, 1011 or 3000 to 4999")
        # FastAPI passes a list of errors.
        text = str(reason or "").encode(errors="replace")[:_REASON_BYTES].decode(errors="ignore")
        try:
            await self.send({"type": "websocket.close", "code": code, "reason": text})
        except WebSocketDisconnect:
            self.application_state = _DISCONNECTED

    async def end(self, exc: BaseException | None = None) -> None:
        """Close what is still open, as the end of an endpoint does.

        With 1000, with the code of a `WebSocketException`, or with 1011. What cannot be closed within
        `WEBSOCKET_CLOSE_SECONDS` is left to the server.
        """
        code, reason = 1000, ""
        if exc is not None:
            exc = find_ending(exc) or exc
        if isinstance(exc, WebSocketException):
            code, reason = exc.code, exc.reason
        elif exc is not None and not isinstance(exc, WebSocketDisconnect):
            code = _INTERNAL_ERROR
        await self._close_in_time(code, reason)

    async def _close_in_time(self, code: int, reason: str) -> None:
        if self.is_open:
            with anyio.move_on_after(WEBSOCKET_CLOSE_SECONDS, shield=True):
                await self.close(code, reason)

    async def __aenter__(self) -> Self:
        if self.application_state is _CONNECTING:
            await self.accept()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.end(exc)

    def open(
        self,
        subprotocol: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] | None = None,
        *,
        inbox: int | None = None,
        inbox_overflow: Overflow = "wait",
        outbox: int | None = None,
        overflow: Overflow = "close",
        idle_timeout: float | None = None,
        send_timeout: float | None = WEBSOCKET_SEND_SECONDS,
        stop_on_disconnect: bool = False,
    ) -> AbstractAsyncContextManager[Self]:
        """Do what `async with websocket:` does, with queues and time-outs.

        Where the WebSocket has to end, because of one of them, the block is cancelled and raises
        `WebSocketDisconnect`, which is no error of an endpoint that lets it pass. Policies are `wait`,
        `drop_oldest`, `drop_newest` and `close`.

        Args:
            subprotocol, headers: as `accept` takes them.
            inbox: messages that are read before somebody receives them. Servers stop reading when a
                message waits; a handler that seldom receives needs an inbox to answer pings and to
                notice the end of its client. None: none.
            inbox_overflow: what becomes of one more message; `wait` stops reading, `close` is 1008.
            outbox: messages that wait for the client to read; sending does not wait any more. None: none.
            overflow: what becomes of one more message; `close` is 1013.
            idle_timeout: seconds without a message in either direction, then close with 1001; None: any.
            send_timeout: seconds that the client may take to read what is sent; None: any.
            stop_on_disconnect: end the block when the client goes, whatever it waits for; needs an inbox.

        Raises:
            ValueError: one of them is wrong.
            WebSocketDisconnect: see above.
        """
        buffers = Buffers(
            self._receive,
            self._send,
            inbox=inbox,
            inbox_overflow=inbox_overflow,
            outbox=outbox,
            overflow=overflow,
            idle_timeout=idle_timeout,
            send_timeout=send_timeout,
            stop_on_disconnect=stop_on_disconnect,
        )
        return self._run_open(buffers, subprotocol, headers)

    @asynccontextmanager
    async def _run_open(
        self,
        buffers: Buffers,
        subprotocol: str | None,
        headers: Iterable[tuple[bytes, bytes]] | None,
    ) -> AsyncIterator[Self]:
        if self.application_state is _CONNECTING:
            await self.accept(subprotocol, headers)
        receive, send = self._receive, self._send
        failure: BaseException | None = None
        try:
            async with anyio.create_task_group() as tasks:
                buffers.start(tasks)
                self._receive, self._send = buffers.receive, buffers.send
                try:
                    yield self
                    await buffers.flush()
                except Exception as exc:
                    # A task group would make an ExceptionGroup of it.
                    failure = exc
                tasks.cancel_scope.cancel()
        except BaseException as exc:
            failure = exc
            raise
        finally:
            buffers.stop()
            self._receive, self._send = receive, send
            if buffers.is_gone:
                self.client_state = _DISCONNECTED
            elif buffers.is_lost:
                self.application_state = _DISCONNECTED
            if buffers.ending is None:
                await self.end(failure)
            else:
                await self._close_in_time(buffers.ending.code, buffers.ending.reason)
        is_about_the_end = isinstance(find_ending(failure) or failure, WebSocketDisconnect | None)
        if buffers.ending is not None and is_about_the_end:
            raise buffers.ending from None
        if failure is not None:
            raise failure

    async def send_denial_response(self, response: Response) -> None:
        """Refuse the handshake with an HTTP response. Raises `RuntimeError` where the server cannot."""
        if "websocket.http.response" not in self.scope.get("extensions", {}):
            raise RuntimeError(
                "The server does not offer WebSocket denial responses; use close() instead"
            )
        await response(self.scope, self.receive, self.send)


_PLAIN = dict(vars(WebSocket))  # as they are here, whatever is patched later
