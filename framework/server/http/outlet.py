"""A transport for protocols of uvicorn: it knows what was written, and lets the client read the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from framework.server.http.limits import HttpLimits

__all__ = ["Outlet"]


class Outlet:
    """Stands before the transport of a connection, to which uvicorn's protocols write from many places.

    A socket that is closed while something unread has arrived is reset, and what was sent last may
    never be seen (RFC 9112 section 9.6). `close` ends the sending first then, and throws away what
    still comes; `shut` closes at once.

    Args:
        transport: the connection.
        limits: how long and how much is thrown away.
        is_all_read: says whether the client has nothing more to send.
    """

    __slots__ = (
        "_discarded",
        "_is_all_read",
        "_limits",
        "_seconds",
        "is_over",
        "transport",
        "written",
    )

    def __init__(
        self, transport: asyncio.Transport, limits: HttpLimits, is_all_read: Callable[[], bool]
    ) -> None:
        self.transport = transport
        self.written = 0
        """Bytes given to the transport."""
        self.is_over = False
        """Nothing more is sent, and what still comes does not count."""
        self._limits = limits
        self._is_all_read = is_all_read
        self._discarded = 0
        self._seconds = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        """Write, and count."""
        if not self.is_over:
            self.written += len(data)
            self.transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection has no future."""
        return self.is_over or self.transport.is_closing()

    def close(self) -> None:
        """Close, but let the client read the answer first."""
        transport = self.transport
        if self.is_closing() or self._is_all_read() or not transport.can_write_eof():
            self.shut()
            return
        self.is_over = True
        transport.resume_reading()
        transport.write_eof()

    def shut(self) -> None:
        """Close at once."""
        self.is_over = True
        self.transport.close()

    def begin_to_discard(self) -> None:
        """Count what is thrown away anew."""
        self._discarded = 0

    def discard(self, size: int) -> None:
        """Throw something away; too much ends the connection."""
        self._discarded += size
        if self._discarded > self._limits.discarded_body:
            self.shut()

    def on_second(self) -> None:
        """Count a second in which what comes is thrown away."""
        self._seconds += 1
        if self._seconds > self._limits.linger_seconds:
            self.shut()
