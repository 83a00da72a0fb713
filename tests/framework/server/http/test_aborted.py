from __future__ import annotations

import logging
import socket
import struct
import threading

import pytest

from framework.exceptions import ClientDisconnect
from framework.types import Receive, Scope, Send
from tests.framework.server.http.serving import PATIENCE_SECONDS, build_protocol, serve

HALF = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"


@pytest.mark.parametrize(("exc", "lines"), [(ClientDisconnect(), 0), (ValueError("bug"), 1)])
def test_a_client_that_goes_away_is_no_error_of_the_application(
    exc: Exception, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    raised = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        raised.set()
        raise exc

    with caplog.at_level(logging.ERROR), serve(app, build_protocol()) as running:
        with running.connect() as client:
            client.sendall(HALF)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert raised.wait(PATIENCE_SECONDS)
    assert caplog.text.count("Exception in ASGI application") == lines


def test_the_same_exception_with_the_client_there_is_one(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect

    with caplog.at_level(logging.ERROR), serve(app, build_protocol()) as running:
        request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        assert running.exchange(request).startswith(b"HTTP/1.1 500 ")
    assert caplog.text.count("Exception in ASGI application") == 1
