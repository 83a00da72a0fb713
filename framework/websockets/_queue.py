"""`MessageQueue`: messages that wait on their way in or out, so many and no more."""

from __future__ import annotations

from collections import deque
from typing import Final, Literal, get_args

import anyio

from framework._defaults import MAX_WEBSOCKET_QUEUE_BYTES
from framework.types import Message

Overflow = Literal["wait", "drop_oldest", "drop_newest", "close"]

_OVERFLOWS: Final = get_args(Overflow)


class QueueClosed(Exception):
    """Nobody takes messages out any more."""


class QueueFull(Exception):
    """A message came that there is no room for."""


class MessageQueue:
    """Messages in their order; one task takes them out.

    Args:
        name: of the parameter that sets the limit, for errors.
        limit: messages that wait at once; together they have at most `MAX_WEBSOCKET_QUEUE_BYTES`, a
            single one may have more.
        overflow: what becomes of one more: it waits, replaces the oldest, is left out, or is a `QueueFull`.

    Raises:
        ValueError: the limit is not positive, or there is no such policy.
    """

    __slots__ = (
        "_bytes",
        "_changed",
        "_is_busy",
        "_is_closed",
        "_limit",
        "_messages",
        "_overflow",
        "dropped",
    )

    def __init__(self, name: str, limit: int, overflow: Overflow) -> None:
        if limit < 1:
            raise ValueError(f"{name}={limit!r} must be at least 1 message; None for no queue")
        if overflow not in _OVERFLOWS:
            raise ValueError(f"overflow {overflow!r} of {name} is none of {', '.join(_OVERFLOWS)}")
        self._limit = limit
        self._overflow = overflow
        self._messages: deque[Message] = deque()
        self._bytes = 0
        # The message that was taken out last is still being worked on.
        self._is_busy = False
        self._is_closed = False
        self._changed: anyio.Event | None = None
        self.dropped = 0

    async def put(self, message: Message) -> None:
        """Add a message. Raises `QueueFull` where the policy is `close`, `QueueClosed` at the end."""
        size = _measure(message)
        while self._is_closed or not self._has_room(size):
            if self._is_closed:
                raise QueueClosed
            if self._overflow == "wait":
                await self._wait()
                continue
            self.dropped += 1
            if self._overflow == "drop_newest":
                return
            if self._overflow == "close":
                raise QueueFull
            self._bytes -= _measure(self._messages.popleft())
        self.put_last(message)

    def put_last(self, message: Message) -> None:
        """Add a message that has to go in, such as the last one."""
        self._messages.append(message)
        self._bytes += _measure(message)
        self._notify()

    async def get(self) -> Message:
        """Take the next message out, when there is one. The one before it counts as done."""
        self._is_busy = False
        self._notify()
        while not self._messages:
            if self._is_closed:
                raise QueueClosed
            await self._wait()
        message = self._messages.popleft()
        self._bytes -= _measure(message)
        self._is_busy = True
        return message

    def close(self) -> None:
        """Let those go who wait, wherever they are."""
        self._is_closed = True
        self._notify()

    async def wait_until_done(self) -> None:
        """Return when all messages were taken out and are done."""
        while self._messages or self._is_busy:
            await self._wait()

    def _has_room(self, size: int) -> bool:
        if not self._messages:
            return True
        is_light = self._bytes + size <= MAX_WEBSOCKET_QUEUE_BYTES
        return is_light and len(self._messages) < self._limit

    async def _wait(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _notify(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()


def _measure(message: Message) -> int:
    """Return the size of a message in bytes, roughly: a character of a text counts as one."""
    return len(message.get("text") or message.get("bytes") or b"")
