"""uvicorn's server, telling the readiness check where in its life it is."""

from __future__ import annotations

import socket
from types import FrameType

from uvicorn import Server

from framework.observability.health import readiness

__all__ = ["ReadinessServer"]


class ReadinessServer(Server):
    """A server that is ready after the application's start-up, and draining when told to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's start-up and listen."""
        await super().startup(sockets)
        if not self.should_exit:
            readiness.set_ready()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that this process is going away, and begin to stop."""
        readiness.set_draining()
        super().handle_exit(sig, frame)
