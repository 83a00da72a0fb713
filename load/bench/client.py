"""A closed-loop keep-alive client on raw sockets, for machines without `wrk`.

    python -m load.bench.client URL --seconds 2 --connections 32

It prints one line of JSON. It is Python: a fast worker makes the client the slower of the two,
and then only the CPU time per request tells the servers apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import Final, cast
from urllib.parse import urlsplit

import uvloop

OK: Final = b"HTTP/1.1 200 "
LENGTH: Final = b"content-length:"


class Tally:
    """What all connections have counted together."""

    __slots__ = ("deadline", "errors", "requests")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.requests = 0
        self.errors = 0


class Connection(asyncio.Protocol):
    """Sends a request, waits for its response, sends the next, until the deadline."""

    __slots__ = ("buffer", "closed", "request", "tally", "transport")

    def __init__(self, request: bytes, tally: Tally) -> None:
        self.request = request
        self.tally = tally
        self.buffer = b""
        self.closed = asyncio.get_running_loop().create_future()
        self.transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        # A cast, because the transports of uvloop only look like those of asyncio.
        self.transport = cast(asyncio.WriteTransport, transport)
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count a complete response and go on."""
        self.buffer += data
        if self.transport is None or not is_complete(self.buffer):
            return
        self.tally.requests += 1
        self.tally.errors += not self.buffer.startswith(OK)
        self.buffer = b""
        if time.perf_counter() < self.tally.deadline:
            self.transport.write(self.request)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that the server ended."""
        self.tally.errors += time.perf_counter() < self.tally.deadline
        if not self.closed.done():
            self.closed.set_result(None)


def is_complete(response: bytes) -> bool:
    """Say whether a response with Content-Length has arrived as a whole."""
    head, separator, body = response.partition(b"\r\n\r\n")
    if not separator:
        return False
    for line in head.split(b"\r\n"):
        if line.lower().startswith(LENGTH):
            return len(body) >= int(line[len(LENGTH) :])
    return True


async def run(url: str, connections: int, seconds: float) -> dict[str, float]:
    """Keep the connections busy for the time given and return the tally."""
    parts = urlsplit(url)
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    start = time.perf_counter()
    tally = Tally(start + seconds)
    host, port = parts.hostname or "127.0.0.1", parts.port or 80
    made = [
        await loop.create_connection(lambda: Connection(request, tally), host, port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.closed for _, connection in made))
    return {
        "requests": tally.requests,
        "errors": tally.errors,
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m load.bench.client", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(run(options.url, options.connections, options.seconds))))


if __name__ == "__main__":
    main()
