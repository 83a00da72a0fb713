"""uvicorn's server, telling the readiness check where in its life it is."""

from __future__ import annotations

import socket
import time
from types import FrameType
from typing import Final

from uvicorn import Server

from framework.observability.health import readiness
from framework.observability.watchdog import LoopWatchdog

__all__ = ["TICKS_A_SECOND", "ReadinessServer"]

TICKS_A_SECOND: Final = 10
"""How often uvicorn calls `on_tick`."""


class ReadinessServer(Server):
    """A server that is ready after the application's start-up, and draining when told to stop."""

    _next_second = 0.0

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, while a thread watches whether the loop is blocked."""
        with LoopWatchdog():
            await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's start-up and listen."""
        await super().startup(sockets)
        if not self.should_exit:
            readiness.set_ready()

    async def on_tick(self, counter: int) -> bool:
        """Count the seconds, by the clock: of a busy loop ten ticks take longer than one."""
        now = time.monotonic()
        if now >= self._next_second:
            # Never two at once: what has arrived meanwhile is to be read first.
            self._next_second = max(self._next_second + 1.0, now + 0.5)
            self.count_second()
        return await super().on_tick(counter)

    def count_second(self) -> None:
        """Let the connections count their deadlines."""
        for connection in tuple(self.server_state.connections):
            # WebSockets, and uvicorn's own protocols, count nothing.
            on_second = getattr(connection, "on_second", None)
            if on_second is not None:
                on_second()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that this process is going away, and begin to stop."""
        readiness.set_draining()
        super().handle_exit(sig, frame)
