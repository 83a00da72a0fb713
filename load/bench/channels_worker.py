"""What a process of `python -m load.bench channels` does: it subscribes many times, or publishes.

Commands come on the standard input, a line of JSON answers each. All processes read one clock.
"""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Final

import anyio
import anyio.to_thread

TOPIC: Final = "bench"
PUBLISHERS: Final = 32
DATA: Final = struct.Struct("=d120x")

Publish = Callable[[bytes], Awaitable[object]]
Subscribe = Callable[[], AbstractAsyncContextManager[AsyncIterator[Any]]]
GetData = Callable[[Any], bytes]


class Subscribers:
    """Counts what the subscribers of this process get, and how late.

    Args:
        subscribe: makes a subscription.
        get_data: takes the data out of an event.
        count: how many subscribers.
        stalled: how many more there are who never take an event.
    """

    def __init__(self, subscribe: Subscribe, get_data: GetData, count: int, stalled: int) -> None:
        self.subscribe = subscribe
        self.get_data = get_data
        self.count = count
        self.stalled = stalled
        self.seconds: list[float] = []
        self.expected = 0
        self.done = anyio.Event()

    async def run(self) -> None:
        """Subscribe and obey."""
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            for number in range(self.count + self.stalled):
                events = await stack.enter_async_context(self.subscribe())
                if number < self.count:
                    tasks.start_soon(self._listen, events)
            say({"ready": True})
            while (command := await read_command()) is not None:
                self.seconds.clear()
                self.expected = command["messages"] * self.count
                self.done = anyio.Event()
                say({"counting": True})
                await self.done.wait()
                last = time.monotonic()
                say({"last": last, "microseconds": [round(s * 1e6) for s in self.seconds]})
            tasks.cancel_scope.cancel()

    async def _listen(self, events: AsyncIterator[Any]) -> None:
        seconds, get_data = self.seconds, self.get_data
        async for event in events:
            seconds.append(time.monotonic() - DATA.unpack(get_data(event))[0])
            if len(seconds) == self.expected:
                self.done.set()


async def publish_all(publish: Publish) -> None:
    """Publish as commanded: as fast as possible from several tasks, or at a rate from one."""
    say({"ready": True})
    while (command := await read_command()) is not None:
        messages, rate = command["messages"], command["rate"]
        first = time.monotonic()
        if rate:
            for number in range(messages):
                await anyio.sleep(max(0.0, first + number / rate - time.monotonic()))
                await publish(DATA.pack(time.monotonic()))
        else:
            async with anyio.create_task_group() as tasks:
                left = iter(range(messages))
                for _ in range(PUBLISHERS):
                    tasks.start_soon(_publish_some, publish, left)
        say({"first": first, "published": time.monotonic()})


async def _publish_some(publish: Publish, left: Any) -> None:
    for _ in left:
        await publish(DATA.pack(time.monotonic()))


async def read_command() -> Any:
    """Return the next command, None at the end."""
    line = await anyio.to_thread.run_sync(sys.stdin.readline)
    return json.loads(line) if line.strip() else None


def say(answer: dict[str, Any]) -> None:
    """Answer."""
    print(json.dumps(answer), flush=True)


def start(run: Callable[[str, int, int], Awaitable[None]]) -> None:
    """Run with the arguments of the command line: place, subscribers (0: publish), stalled ones."""
    place, subscribers, stalled = sys.argv[1:]
    options = {"use_uvloop": True}
    anyio.run(run, place, int(subscribers), int(stalled), backend_options=options)
