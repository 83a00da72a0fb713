from __future__ import annotations

import asyncio

import pytest
import uvicorn

from framework.server import lifecycle
from framework.server.lifecycle import ReadinessServer


class CountingServer(ReadinessServer):
    def __init__(self) -> None:
        super().__init__(uvicorn.Config("unused", log_config=None))
        self.counted = 0

    def count_second(self) -> None:
        self.counted += 1


@pytest.mark.parametrize(
    ("times", "counted"),
    [
        ([100.1 + tick / 10 for tick in range(49)], 5),
        # Turns of the loop take 0.7 s: ten of them are seven seconds, not one.
        ([100.1 + tick * 0.7 for tick in range(10)], 7),
        # What came while the loop was blocked has not been read yet: it is no three seconds late.
        ([100.1, 103.2, 103.3, 103.4], 2),
    ],
)
def test_seconds_are_counted_by_the_clock(
    times: list[float], counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tick() -> int:
        server = CountingServer()
        await server.on_tick(1)
        server.counted = 0
        for now in times:
            monkeypatch.setattr(clock, "now", now)
            await server.on_tick(1)
        return server.counted

    class Clock:
        now = 99.5

        def monotonic(self) -> float:
            return self.now

    clock = Clock()
    monkeypatch.setattr(lifecycle, "time", clock)
    assert asyncio.run(tick()) == counted
