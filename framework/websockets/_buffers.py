"""`Buffers`: what stands between a WebSocket and its server while it is open, if asked for."""

from __future__ import annotations

import anyio
from anyio.abc import TaskGroup

from framework._defaults import WEBSOCKET_CLOSE_SECONDS
from framework.exceptions import WebSocketDisconnect
from framework.types import Message, Receive, Send
from framework.websockets._endings import is_end_of_sending
from framework.websockets._queue import MessageQueue, Overflow, QueueClosed, QueueFull

# Close codes of RFC 6455 section 7.4.1 and of the registry that it opened.
_GOING_AWAY = 1001
_NO_CODE = 1005
_LOST = 1006
_POLICY_VIOLATION = 1008
_TRY_AGAIN_LATER = 1013


class Buffers:
    """An inbox, an outbox and time-outs between `receive` and `send` of a WebSocket and of its server.

    Attributes:
        ending: why the WebSocket has to end, None while it need not.
        is_lost: nothing can be sent any more, not even a close frame.
        is_gone: the client's end has been read.
    """

    __slots__ = (
        "_active_at",
        "_idle_timeout",
        "_inbox",
        "_outbox",
        "_send_timeout",
        "_server_receive",
        "_server_send",
        "_stops_on_disconnect",
        "_tasks",
        "_writes",
        "ending",
        "is_gone",
        "is_lost",
    )

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        inbox: int | None,
        inbox_overflow: Overflow,
        outbox: int | None,
        overflow: Overflow,
        idle_timeout: float | None,
        send_timeout: float | None,
        stop_on_disconnect: bool,
    ) -> None:
        for name, seconds in (("idle_timeout", idle_timeout), ("send_timeout", send_timeout)):
            if seconds is not None and seconds <= 0:
                raise ValueError(f"{name}={seconds!r} must be positive: pass seconds, or None")
        if stop_on_disconnect and inbox is None:
            raise ValueError("stop_on_disconnect=True needs an inbox: pass inbox=16, for example")
        self._server_receive = receive
        self._server_send = send
        self._inbox = None if inbox is None else MessageQueue("inbox", inbox, inbox_overflow)
        self._outbox = None if outbox is None else MessageQueue("outbox", outbox, overflow)
        self._idle_timeout = idle_timeout
        self._send_timeout = send_timeout
        self._stops_on_disconnect = stop_on_disconnect
        self._active_at = 0.0
        self._writes = 0
        self._tasks: TaskGroup | None = None
        self.ending: WebSocketDisconnect | None = None
        self.is_lost = False
        self.is_gone = False

    def start(self, tasks: TaskGroup) -> None:
        """Begin to work, in these tasks; they are cancelled when the WebSocket has to end."""
        self._tasks = tasks
        self._active_at = anyio.current_time()
        if self._inbox is not None:
            tasks.start_soon(self._fill, self._inbox)
        if self._outbox is not None:
            tasks.start_soon(self._empty, self._outbox)
        if self._idle_timeout is not None:
            tasks.start_soon(self._watch, self._idle_timeout)

    def stop(self) -> None:
        """Let tasks of others go that wait for a place or for a message."""
        for queue in (self._inbox, self._outbox):
            if queue is not None:
                queue.close()

    async def receive(self) -> Message:
        """Return the next message of the server."""
        if self._inbox is None:
            return await self._read()
        try:
            return await self._inbox.get()
        except QueueClosed:
            raise self._find_ending() from None

    async def send(self, message: Message) -> None:
        """Send a message, or let it wait for its turn. A close frame comes after all others.

        Raises:
            WebSocketDisconnect: the WebSocket has to end.
            OSError: the connection broke.
        """
        if self.ending is not None:
            raise self.ending
        self._active_at = anyio.current_time()
        if self._outbox is None:
            await self._write(message)
        elif message["type"] == "websocket.close":
            await self.flush()
            await self._write(message)
        else:
            try:
                await self._outbox.put(message)
            except QueueClosed:
                raise self._find_ending() from None
            except QueueFull:
                raise self._end(_TRY_AGAIN_LATER, "The client reads too slowly.") from None

    async def flush(self) -> None:
        """Return when all has been sent, or has had the time for it."""
        if self._outbox is not None:
            with anyio.move_on_after(self._send_timeout or WEBSOCKET_CLOSE_SECONDS):
                await self._outbox.wait_until_done()

    async def _read(self) -> Message:
        message = await self._server_receive()
        self._active_at = anyio.current_time()
        if message["type"] == "websocket.disconnect":
            self.is_gone = True
        return message

    async def _write(self, message: Message) -> None:
        self._writes += 1
        try:
            with anyio.fail_after(self._send_timeout):
                await self._server_send(message)
        except TimeoutError:
            self.is_lost = True
            raise self._end(_LOST, "The client does not read.") from None
        finally:
            self._writes -= 1
            self._active_at = anyio.current_time()

    async def _fill(self, inbox: MessageQueue) -> None:
        while True:
            message = await self._read()
            if message["type"] == "websocket.disconnect":
                inbox.put_last(message)
                if self._stops_on_disconnect:
                    self._end(message.get("code", _NO_CODE), message.get("reason"))
                return
            try:
                await inbox.put(message)
            except QueueFull:
                self._end(_POLICY_VIOLATION, "Too many messages.")
                return

    async def _empty(self, outbox: MessageQueue) -> None:
        try:
            while True:
                await self._write(await outbox.get())
        except WebSocketDisconnect:
            return  # it has been said why
        except (OSError, RuntimeError) as exc:
            if not is_end_of_sending(exc):
                raise
            self.is_lost = True
            self._end(_LOST)

    async def _watch(self, idle_timeout: float) -> None:
        while True:
            # Each message moves the deadline.
            await anyio.sleep_until(self._active_at + idle_timeout)
            if self._writes:
                # What the client has not taken yet is no silence; `send_timeout` has an eye on it.
                self._active_at = anyio.current_time()
            if anyio.current_time() >= self._active_at + idle_timeout:
                self._end(_GOING_AWAY, "Idle for too long.")
                return

    def _find_ending(self) -> WebSocketDisconnect:
        return self.ending or WebSocketDisconnect(_LOST)

    def _end(self, code: int, reason: str | None = None) -> WebSocketDisconnect:
        if self.ending is None:
            self.ending = WebSocketDisconnect(code, reason)
        if self._tasks is not None:
            self._tasks.cancel_scope.cancel()
        return self.ending
