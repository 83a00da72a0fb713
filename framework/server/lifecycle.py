"""uvicorn's server, telling the readiness check where in its life it is."""

from __future__ import annotations

import socket
from types import FrameType
from typing import Final

from uvicorn import Server

from framework.observability.health import readiness
from framework.server.http.protocol import HardenedHttpProtocol

__all__ = ["TICKS_A_SECOND", "ReadinessServer"]

TICKS_A_SECOND: Final = 10
"""How often uvicorn calls `on_tick`."""


class ReadinessServer(Server):
    """A server that is ready after the application's start-up, and draining when told to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's start-up and listen."""
        await super().startup(sockets)
        if not self.should_exit:
            readiness.set_ready()

    async def on_tick(self, counter: int) -> bool:
        """Tell the connections each second that it is over; their deadlines are counted so."""
        if counter % TICKS_A_SECOND == 0:
            for connection in tuple(self.server_state.connections):
                if isinstance(connection, HardenedHttpProtocol):
                    connection.on_second()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that this process is going away, and begin to stop."""
        readiness.set_draining()
        super().handle_exit(sig, frame)
