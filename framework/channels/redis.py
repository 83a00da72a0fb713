"""`RedisBackend`: channels between many machines, through a stream of Redis."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import msgspec

from framework._defaults import (
    CHANNEL_BATCH_EVENTS,
    CHANNEL_CONNECT_SECONDS,
    CHANNEL_PUBLISH_SECONDS,
    CHANNEL_RETRY_SECONDS,
    CHANNEL_STREAM_EVENTS,
    MAX_CHANNEL_HISTORY_BYTES,
    MAX_CHANNEL_PUBLISHERS,
    MAX_CHANNEL_RETRY_SECONDS,
)
from framework.channels._hub import Hub
from framework.channels.events import decode_frame
from framework.exceptions import ChannelsUnavailable

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ImportError as exc:
    raise ImportError(
        "channels through Redis need redis, which is not installed: pip install redis"
    ) from exc

__all__ = ["RedisBackend", "build"]

# An entry of the stream has a frame, and the publisher with a number that rises.
_FRAME: Final = b"frame"
_ORIGIN: Final = b"from"
_FIRST: Final = b"0-0"

# How long Redis waits for something new before it answers that there is nothing (milliseconds).
_BLOCK_MS: Final = 1000

# An id of Redis has milliseconds and a number within the millisecond; ours has both in one number.
_SEQUENCE_BITS: Final = 20

# An id that is so far ahead of the clock is none of ours.
_MAX_AHEAD_SECONDS: Final = 60

_FAILURES: Final = (RedisError, OSError)  # a TimeoutError is an OSError
_logger = logging.getLogger("framework.channels")


class RedisBackend:
    """Delivers to all processes that use the same Redis server and key. asyncio only, as redis-py.

    Each process reads the whole stream, from where it stopped when the connection was lost: what was
    published meanwhile is delivered late, not lost, as long as Redis still has it. What is published
    while Redis is away is sent again until `CHANNEL_PUBLISH_SECONDS` have passed. An event that Redis got
    twice that way is delivered once.

    Args:
        url: of the server, as redis-py takes it.
        key: the name of the stream.
        stream_events: how many events the stream keeps, roughly.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "channels",
        stream_events: int = CHANNEL_STREAM_EVENTS,
    ) -> None:
        if stream_events < 1:
            raise ValueError(f"stream_events={stream_events!r} must be at least 1")
        self.key = key
        self.stream_events = stream_events
        self.reconnects = 0
        self._url = url
        self._hub = Hub(0)
        self._client: Redis | None = None
        self._place: bytes | None = None
        self._is_placed = True
        self._origins: OrderedDict[bytes, int] = OrderedDict()
        self._origin = b""
        self._number = 0
        self._pending: deque[_Pending] = deque()
        self._failure: Exception | None = None
        self._wake = anyio.Event()

    async def open(self, hub: Hub) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "redis-py needs asyncio: run on asyncio, or use the back end unix:// or memory://"
            ) from None
        self._hub = hub
        hub.find_bound = self._find_bound
        self._place = None
        self._origin = secrets.token_hex(8).encode()
        self._number = 0
        self._pending = deque()
        self._wake = anyio.Event()
        # One place decides what is tried again, and says so: here, not in the client.
        self._client = Redis.from_url(
            self._url,
            socket_connect_timeout=CHANNEL_CONNECT_SECONDS,
            socket_timeout=CHANNEL_CONNECT_SECONDS + _BLOCK_MS / 1000,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            await self._restore(self._client)
        except _FAILURES as exc:
            # A worker that starts while Redis is away serves all that does not need it.
            self._report(exc)

    def _find_bound(self) -> int:
        # Another process may be ahead of this one. Ids are times.
        return max(
            self._hub.last_id, int((time.time() + _MAX_AHEAD_SECONDS) * 1000) << _SEQUENCE_BITS
        )

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._write)
            delay = CHANNEL_RETRY_SECONDS
            while True:
                try:
                    await self._read()
                    delay = CHANNEL_RETRY_SECONDS
                except _FAILURES as exc:
                    self._report(exc)
                    # Spread, or all processes would come back in the same moment.
                    await anyio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - no secret
                    delay = min(delay * 2, MAX_CHANNEL_RETRY_SECONDS)

    async def publish(self, frame: bytes) -> int:
        self._get_client()
        self._number += 1
        pending = _Pending(frame, b"%s-%d" % (self._origin, self._number))
        self._pending.append(pending)
        self._wake.set()
        with anyio.move_on_after(CHANNEL_PUBLISH_SECONDS):
            await pending.done.wait()
        if not pending.done.is_set():
            pending.failure = self._failure or TimeoutError("Redis did not answer")
        if pending.failure is not None:
            raise ChannelsUnavailable(
                f"Redis did not take the event in {CHANNEL_PUBLISH_SECONDS} s: "
                f"{type(pending.failure).__name__}"
            ) from pending.failure
        return pending.id

    async def close(self) -> None:
        client, self._client = self._client, None
        for pending in self._pending:
            pending.fail(ConnectionError("the channels were closed"))
        if client is not None:
            await client.aclose()

    async def _restore(self, client: Redis) -> None:
        """Take what the stream holds as history and its end as our place."""
        entries = await self._read_latest(client)
        # An empty stream has no end; what comes into it has an id above 0-0 anyway.
        self._place = entries[0][0] if entries else _FIRST
        self._is_placed = True
        for entry_id, fields in reversed(entries):
            if self._is_new(fields):
                self._hand_over(entry_id, fields, is_history=True)

    async def _read_latest(self, client: Redis) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """Return the newest entries, newest first, as far back as the history can hold."""
        found: list[tuple[bytes, dict[bytes, bytes]]] = []
        size, end = 0, "+"
        while len(found) < self.stream_events and size <= MAX_CHANNEL_HISTORY_BYTES:
            entries: Any = await client.xrevrange(self.key, max=end, count=CHANNEL_BATCH_EVENTS)
            if not entries:
                break
            found += entries
            size += sum(len(fields.get(_FRAME, b"")) for _, fields in entries)
            end = "(" + entries[-1][0].decode()
        return found

    async def _read(self) -> None:
        """Read and deliver once."""
        client = self._get_client()
        if self._place is None:
            await self._restore(client)
            self._hub.miss(1)  # nobody knows what was published until now
            return
        answer: Any = await client.xread(
            {self.key: self._place}, count=CHANNEL_BATCH_EVENTS, block=_BLOCK_MS
        )
        entries = _get_entries(answer)
        # Who lags, or was away, may find that its place is not there any more.
        if not self._is_placed or len(entries) >= min(CHANNEL_BATCH_EVENTS, self.stream_events):
            await self._check_place(client)
        for entry_id, fields in entries:
            self._place = entry_id
            if self._is_new(fields):
                self._hand_over(entry_id, fields)
        # Subscribers get a turn while the next answer is waited for.

    async def _check_place(self, client: Redis) -> None:
        place = self._place
        if place not in {None, _FIRST} and not await client.xrange(self.key, place, place, count=1):
            _logger.warning("Redis has dropped events that this process has not read")
            self._hub.miss(1)
            await self._raise_ids(client, place)
        self._is_placed = True

    async def _raise_ids(self, client: Redis, place: bytes | None) -> None:
        """Have ids go on above our place: Redis may be another one now, whose clock is behind."""
        if place is None:
            return
        # An entry with this id, gone before anybody reads it; refused where ids are above it already.
        async with client.pipeline(transaction=True) as pipeline:
            pipeline.xadd(self.key, {_FRAME: b""}, id=place)
            pipeline.xdel(self.key, place)
            await pipeline.execute(raise_on_error=False)

    def _is_new(self, fields: dict[bytes, bytes]) -> bool:
        """Say whether an event is here for the first time; Redis may get one twice."""
        origin, _, text = fields.get(_ORIGIN, b"").rpartition(b"-")
        if not text.isdigit():
            return True
        number = int(text)
        if number <= self._origins.get(origin, 0):
            return False
        self._origins[origin] = number
        self._origins.move_to_end(origin)
        if len(self._origins) > MAX_CHANNEL_PUBLISHERS:
            self._origins.popitem(last=False)
        return True

    def _hand_over(
        self, entry_id: bytes, fields: dict[bytes, bytes], *, is_history: bool = False
    ) -> None:
        try:
            event = decode_frame(fields.get(_FRAME, b""), _build_id(entry_id))
        except msgspec.MsgspecError as exc:
            _logger.warning("The stream of channels has an entry that is no event: %s", exc)
            return
        if is_history:
            self._hub.restore(event)
        else:
            self._hub.deliver(event)

    async def _write(self) -> None:
        """Send what is published: all that waits in one round trip, one after the other, in order."""
        delay = CHANNEL_RETRY_SECONDS
        while True:
            if not self._pending:
                self._wake = anyio.Event()
                await self._wake.wait()
            self._give_up(self._failure)
            # All of a batch is taken or none of it: what is too much together may do one by one.
            size = CHANNEL_BATCH_EVENTS if self._failure is None else 1
            batch = [self._pending[i] for i in range(min(len(self._pending), size))]
            if not batch:
                continue
            try:
                ids = await self._send(batch)
            except _FAILURES as exc:
                self._failure = exc
                self._give_up(exc)
                await anyio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - no secret
                delay = min(delay * 2, MAX_CHANNEL_RETRY_SECONDS)
                continue
            delay, self._failure = CHANNEL_RETRY_SECONDS, None
            for entry_id in ids:
                self._pending.popleft().succeed(_build_id(entry_id))

    async def _send(self, batch: Sequence[_Pending]) -> list[bytes]:
        async with self._get_client().pipeline(transaction=True) as pipeline:
            for pending in batch:
                fields: Any = {_FRAME: pending.frame, _ORIGIN: pending.origin}
                pipeline.xadd(self.key, fields, maxlen=self.stream_events, approximate=True)
            ids: list[bytes] = await pipeline.execute()
            return ids

    def _give_up(self, failure: Exception | None) -> None:
        """Let those go who have waited for too long."""
        now = time.monotonic()
        while self._pending and self._pending[0].give_up_at <= now:
            self._pending.popleft().fail(failure or TimeoutError("Redis did not answer"))

    def _report(self, exc: BaseException) -> None:
        # APPSEC: the text of the error may name the address, which may hold a password.
        self.reconnects += 1
        self._is_placed = False
        _logger.warning("Channels have lost Redis and try again: %s", type(exc).__name__)

    def _get_client(self) -> Redis:
        if self._client is None:
            raise RuntimeError("this back end is not open")
        return self._client


class _Pending:
    """An event on its way to Redis."""

    __slots__ = ("done", "failure", "frame", "give_up_at", "id", "origin")

    def __init__(self, frame: bytes, origin: bytes) -> None:
        self.frame = frame
        self.origin = origin
        self.give_up_at = time.monotonic() + CHANNEL_PUBLISH_SECONDS
        self.done = anyio.Event()
        self.failure: Exception | None = None
        self.id = 0

    def succeed(self, event_id: int) -> None:
        self.id = event_id
        self.done.set()

    def fail(self, failure: Exception) -> None:
        self.failure = failure
        self.done.set()


def build(url: str) -> RedisBackend:
    """Return the back end of `redis://`, `rediss://` or `redis+unix:///path/of/socket`."""
    parts = urlsplit(url)
    if not parts.hostname and not parts.path:
        raise ValueError(
            f"{parts.scheme}:// needs a host or a path, such as redis://localhost:6379/0"
        )
    return RedisBackend(url.removeprefix("redis+"))


def _build_id(entry_id: bytes) -> int:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return (int(milliseconds) << _SEQUENCE_BITS) + int(sequence)


def _get_entries(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Return the entries of one stream: RESP2 answers with pairs, RESP3 with a map."""
    if not answer:
        return []
    if isinstance(answer, dict):
        [batches] = answer.values()
        return [entry for batch in batches for entry in batch]
    return list(answer[0][1])
