"""Ports for what tests start, and for what is to be in its way.

None is of those that the system gives to clients by itself: any connection on the machine could have it
a moment later.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


def find_free_port(host: str = "127.0.0.1") -> int:
    """Return a port that nobody listens on."""
    with take_ports(1, host) as port:
        return port


@contextmanager
def take_ports(number: int, host: str = "127.0.0.1") -> Iterator[int]:
    """Listen on ports that follow each other; yields the first."""
    with ExitStack() as stack:
        while True:
            first = random.randrange(15_000, 32_000)
            try:
                with ExitStack() as taken:
                    for port in range(first, first + number):
                        taken.enter_context(_listen(host, port))
                    stack.push(taken.pop_all())
                break
            except OSError:
                continue
        yield first


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
