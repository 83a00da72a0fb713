"""`EventSourceResponse`: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

import math
import random
import re
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import anyio
import anyio.lowlevel
import msgspec

from framework._defaults import (
    CHUNKS_BETWEEN_CHECKPOINTS,
    DRAIN_POLL_SECONDS,
    DRAIN_RETRY_MILLISECONDS,
    HEARTBEAT_SECONDS,
)
from framework.background import BackgroundTask
from framework.responses.base import encode_json
from framework.responses.streaming import StreamingResponse, iterate
from framework.types import Message, Receive, Scope, Send

__all__ = ["Event", "EventSourceResponse", "EventStream", "ServerSentEvent"]

# What ends a line in an event stream, and nothing else that Python calls a line end.
_LINE_END = re.compile(r"\r\n|\r|\n")
_FORBIDDEN = re.compile(r"[\r\n\0]")
_HEARTBEAT: Final = b": heartbeat\n\n"

# Where our server puts what is waited for until it stops: `async def wait()`.
STOPPING_SCOPE_KEY: Final = "framework.stopping"


class ServerSentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. Whatever the texts hold, they stay in their fields: nobody can smuggle in others.

    Args:
        data: text, sent line by line; any other value is sent as JSON.
        event: the name that `addEventListener` waits for; `message` when not given.
        id: what the browser sends as `Last-Event-ID` when it connects again.
        retry: milliseconds that the browser waits before it connects again.
        comment: text that the browser drops.

    Raises:
        ValueError: a line end or NUL in `event` or `id`, or a negative `retry`.
    """

    data: Any = None
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None
    comment: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("event", self.event), ("id", self.id)):
            if _FORBIDDEN.search(str(value)):
                raise ValueError(f"{name}={value!r} holds a line end or NUL: remove it")
        if self.retry is not None and self.retry < 0:
            raise ValueError(f"retry={self.retry!r} is negative: pass milliseconds")

    def encode(self) -> bytes:
        """Return the event as it is sent."""
        lines = []
        if self.comment is not None:
            lines += [f": {line}" for line in _LINE_END.split(self.comment)]
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        if self.data is not None:
            text = self.data if isinstance(self.data, str) else encode_json(self.data).decode()
            lines += [f"data: {line}" for line in _LINE_END.split(text)]
        return "\n".join([*lines, "", ""]).encode()


# Text is the data of an event, a mapping has the fields of one.
Event = str | Mapping[str, Any] | ServerSentEvent
EventStream = AsyncIterable[Event] | Iterable[Event]


class EventSourceResponse(StreamingResponse):
    """Send events to a browser's `EventSource` as they come.

    A comment goes out when there was nothing for `heartbeat` seconds. The stream ends when the events
    do, when the client goes, and when the server stops: the browser is told to connect again within
    seconds (`DRAIN_RETRY_MILLISECONDS`), to a server that stays, and sends the id of the last event as
    `Last-Event-ID`. Wherever the iterable waits, it is closed. HEAD gets the header fields only.

    Args:
        content: (async) iterable of events; a plain iterable is advanced in a worker thread.
        heartbeat: seconds of silence before a comment is sent; None for never.
        draining: says whether the server is about to stop, asked every `DRAIN_POLL_SECONDS`. For
            servers other than `framework.server`, which says so itself, when it takes no more
            connections.

    Raises:
        ValueError: `heartbeat` is not positive.
        TypeError: while it is sent: an item that is no event.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        content: EventStream,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
        *,
        heartbeat: float | None = HEARTBEAT_SECONDS,
        draining: Callable[[], object] | None = None,
    ) -> None:
        if heartbeat is not None and heartbeat <= 0:
            raise ValueError(f"heartbeat={heartbeat!r} must be positive: pass seconds, or None")
        super().__init__((), status_code, headers, media_type, background)
        self.body_iterator: AsyncIterable[Any] = iterate(content)
        self.heartbeat = heartbeat
        self.draining = draining
        self._stopping: Callable[[], Awaitable[object]] = anyio.sleep_forever
        self.headers.setdefault("cache-control", "no-store")
        # nginx would hold events back until a buffer is full.
        self.headers.setdefault("x-accel-buffering", "no")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "HEAD":
            await self._close_iterator()
            self.body_iterator = iterate(())
        if self.draining is not None:
            self._stopping = self._poll
        elif STOPPING_SCOPE_KEY in scope:
            self._stopping = scope[STOPPING_SCOPE_KEY].wait
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send head, events, heartbeats and end."""
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        channel = _EventChannel(send)
        try:
            await self._send_events(channel)
        except BaseExceptionGroup as group:
            if len(group.exceptions) > 1:
                raise
            failure = group.exceptions[0]
        else:
            body = _say_retry() if channel.is_stopped else b""
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        raise failure  # bare: that is what callers expect

    async def _send_events(self, channel: _EventChannel) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tend, channel, tasks.cancel_scope)
            until_checkpoint = CHUNKS_BETWEEN_CHECKPOINTS
            try:
                async for item in self.body_iterator:
                    await channel.send(_encode_event(item))
                    until_checkpoint -= 1
                    if not until_checkpoint:
                        await anyio.lowlevel.checkpoint()
                        until_checkpoint = CHUNKS_BETWEEN_CHECKPOINTS
            except BaseException:
                await self._close_iterator()
                raise
            await channel.stop(tasks.cancel_scope)

    async def _tend(self, channel: _EventChannel, scope: anyio.CancelScope) -> None:
        """Send heartbeats until the server stops, then end the stream."""
        pause = math.inf if self.heartbeat is None else self.heartbeat
        while True:
            with anyio.CancelScope(deadline=channel.sent_at + pause):
                await self._stopping()
                break
            if anyio.current_time() >= channel.sent_at + pause:
                await channel.send(_HEARTBEAT)
        channel.is_stopped = True
        await channel.stop(scope)

    async def _poll(self) -> None:
        while True:
            if self.draining is not None and self.draining():
                return
            await anyio.sleep(DRAIN_POLL_SECONDS)


class _EventChannel:
    """Lets events and heartbeats share a connection: one at a time, and no beat after an event."""

    __slots__ = ("_lock", "_send", "is_stopped", "sent_at")

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = anyio.Lock(fast_acquire=True)
        self.sent_at = anyio.current_time()
        # By the server, before the events came to their end.
        self.is_stopped = False

    async def send(self, body: bytes) -> None:
        message: Message = {"type": "http.response.body", "body": body, "more_body": True}
        async with self._lock:
            await self._send(message)
            self.sent_at = anyio.current_time()

    async def stop(self, scope: anyio.CancelScope) -> None:
        """Cancel events and heartbeats, but not in the middle of a message."""
        async with self._lock:
            scope.cancel()


def _say_retry() -> bytes:
    return ServerSentEvent(retry=random.randint(*DRAIN_RETRY_MILLISECONDS)).encode()  # noqa: S311 -- not a secret


def _encode_event(item: object) -> bytes:
    if isinstance(item, str):
        return ServerSentEvent(data=item).encode()
    if isinstance(item, Mapping):
        return ServerSentEvent(**item).encode()
    if isinstance(item, ServerSentEvent):
        return item.encode()
    raise TypeError(f"{item!r} is no event: yield a str, a dict or a ServerSentEvent")
