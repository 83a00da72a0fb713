"""uvicorn's server, telling the readiness check where in its life it is."""

from __future__ import annotations

import logging
import socket

from uvicorn import Server

from framework.observability.health import readiness

__all__ = ["ReadinessServer"]


class ReadinessServer(Server):
    """A server that is ready after the application's start-up, and draining before its end."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's start-up and listen."""
        # The application writes the access lines. uvicorn writes its own as soon as this logger
        # has handlers, its own or inherited, and whoever configures logging may have given it some.
        logging.getLogger("uvicorn.access").handlers = []
        logging.getLogger("uvicorn.access").propagate = False
        await super().startup(sockets)
        if not self.should_exit:
            readiness.set_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that this process is going away, then wait for requests and shut down."""
        readiness.set_draining()
        await super().shutdown(sockets)
