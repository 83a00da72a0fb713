"""A small HTTP/1.1 client that says in which way an exchange failed, and never tries again."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Final, NamedTuple, cast

HOST: Final = "127.0.0.1"

# The ways in which an exchange fails.
REFUSED: Final = "refused"
RESET: Final = "reset"
EOF_BEFORE: Final = "EOF before the answer"
EOF_WITHIN: Final = "EOF within the answer"
TIMED_OUT: Final = "time-out"
GARBLED: Final = "no HTTP"


class ExchangeFailed(Exception):
    """There is no whole answer; `kind` is one of the ways above."""

    def __init__(self, kind: str, worker: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.worker = worker


class Answer(NamedTuple):
    """A whole answer.

    Args:
        status: its status.
        fields: its header fields, names in lower case.
        body: its body.
    """

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        return self.fields.get("connection", "").lower() != "close"


class Connection(asyncio.Protocol):
    """One connection, which carries one exchange at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self.worker = ""
        """The process at the other end, as far as it has said so."""
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiter: asyncio.Future[Answer] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        try:
            answer = parse(self._buffer)
        except (ValueError, IndexError):
            waiter.set_exception(ExchangeFailed(GARBLED, self.worker))
            return
        if answer is not None:
            self.worker = answer.fields.get("x-worker", self.worker)
            if not answer.keeps_alive:
                self.close()
            waiter.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            kind = EOF_WITHIN if self._buffer else EOF_BEFORE
            waiter.set_exception(ExchangeFailed(RESET if exc else kind, self.worker))

    async def exchange(self, request: bytes) -> Answer:
        """Send a request and wait for its answer. Raises `ExchangeFailed`."""
        assert self._transport is not None
        if not self.is_open:
            raise ExchangeFailed(EOF_BEFORE, self.worker)
        self._buffer.clear()
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End with a reset."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


class Client:
    """Connections to one port: idle ones are used again, the one that has waited longest first.

    Args:
        port: on this machine.
        patience: seconds for an exchange, the connection included.
    """

    def __init__(self, port: int, *, patience: float = 10.0) -> None:
        self.port = port
        self.patience = patience
        self.idle: deque[Connection] = deque()

    async def fetch(
        self, path: str = "/", *, method: str = "GET", body: bytes = b"", fresh: bool = False
    ) -> Answer:
        """Make one exchange, over a connection of its own when it is to be `fresh`.

        Raises:
            ExchangeFailed: there is no whole answer.
        """
        try:
            async with asyncio.timeout(self.patience):
                connection = None if fresh else self._take_idle()
                if connection is None:
                    connection = await self.connect()
                try:
                    answer = await connection.exchange(build_request(path, method, body))
                except BaseException:
                    connection.abort()
                    raise
        except TimeoutError:
            raise ExchangeFailed(TIMED_OUT) from None
        if fresh:
            connection.close()
        elif connection.is_open:
            self.idle.append(connection)
        return answer

    async def connect(self) -> Connection:
        """Open a connection. Raises `ExchangeFailed`."""
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(Connection, HOST, self.port)
        except ConnectionRefusedError:
            raise ExchangeFailed(REFUSED) from None
        except OSError:
            raise ExchangeFailed(RESET) from None
        return connection

    def close(self) -> None:
        """Close the idle connections."""
        while self.idle:
            self.idle.popleft().close()

    def _take_idle(self) -> Connection | None:
        while self.idle:
            connection = self.idle.popleft()
            if connection.is_open:
                return connection
        return None


def build_request(path: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return a request."""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: drill\r\n{length}\r\n".encode() + body


def parse(data: bytearray) -> Answer | None:
    """Return the answer in `data`, None when it is not whole. Raises `ValueError` or `IndexError`."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = bytes(data[end + 4 :])
    if fields.get("transfer-encoding") == "chunked":
        if not body.endswith(b"0\r\n\r\n"):
            return None
    elif len(body) < int(fields.get("content-length", "0")):
        return None
    return Answer(int(first.split(" ")[1]), fields, body)


async def is_ready(port: int) -> bool:
    """Say whether the service on a port wants requests."""
    with contextlib.suppress(ExchangeFailed):
        return (await Client(port, patience=2.0).fetch("/readyz", fresh=True)).status == 200
    return False
