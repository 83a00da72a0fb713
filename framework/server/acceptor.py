"""Takes connections from a listening socket: all that wait, and none while there is no room."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final

__all__ = ["Acceptor"]

_MAX_BATCH: Final = 256
_PAUSE_SECONDS: Final = 0.5

_logger = logging.getLogger("framework.server")


class Acceptor:
    """Accepts the connections of one socket; uvicorn closes it like a server of the event loop.

    uvloop's own server accepts one connection in a turn of the loop. Under overload, when a turn is
    long, new connections then wait for seconds, those of health checks among them. And where the
    process has no descriptor left, it accepts them with a spare one to close them at once.

    Here the number doubles as long as more connections wait than are taken, so that a busy worker
    empties the queue, while a short one is left for the other workers too. Without a descriptor
    connections stay in the queue, for other workers or until there is room.

    Args:
        sock: listens, and does not block.
        protocol_factory: makes the protocol of a connection.
        ssl_context: for HTTPS.
    """

    def __init__(
        self,
        sock: socket.socket,
        protocol_factory: Callable[[], asyncio.Protocol],
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._sock = sock
        self._protocol_factory = protocol_factory
        self._ssl = ssl_context
        self._loop = asyncio.get_running_loop()
        self._batch = 1
        self._has_room = True
        self._adoptions: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to accept, or go on."""
        self._pause = None
        self._loop.add_reader(self._sock.fileno(), self._accept)

    def close(self) -> None:
        """Accept no more. The socket stays open."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock.fileno())

    async def wait_closed(self) -> None:
        """Wait for handshakes that have begun."""
        await asyncio.gather(*self._adoptions, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(self._batch):
            try:
                connection, _ = self._sock.accept()
            except BlockingIOError:
                self._batch = 1
                return
            except (ConnectionAbortedError, InterruptedError):
                continue
            except OSError as exc:
                self._rest(exc)
                return
            self._has_room = True
            task = self._loop.create_task(self._adopt(connection))
            self._adoptions.add(task)
            task.add_done_callback(self._adoptions.discard)
        self._batch = min(self._batch * 2, _MAX_BATCH)

    def _rest(self, exc: OSError) -> None:
        """Look away for a moment: the loop would report the socket again and again."""
        if self._has_room:
            self._has_room = False
            _logger.error("No connection can be accepted (%s); new ones wait", exc.strerror)
        self._loop.remove_reader(self._sock.fileno())
        self._pause = self._loop.call_later(_PAUSE_SECONDS, self.start)

    async def _adopt(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(
                self._protocol_factory, connection, ssl=self._ssl
            )
        except OSError:
            # It was gone before it was looked at, or its handshake failed.
            connection.close()
