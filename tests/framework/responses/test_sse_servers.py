"""Event streams on a real server: its end, a thousand clients, and channels with `Last-Event-ID`."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from framework.applications import App
from framework.channels import Channels, stream_events
from framework.requests import Request
from framework.responses import EventSourceResponse, Response
from framework.routing import Route
from tests.framework.server.http.serving import Running, build_protocol, serve

CLIENTS = 1000


@pytest.fixture
def open_files() -> Iterator[None]:
    """Room for the clients and their connections in one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CLIENTS + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Service:
    """A channel, its stream, and a way to publish."""

    def __init__(self) -> None:
        self.channels = Channels("memory://")
        self.app = App(
            routes=[
                Route("/events", self.stream),
                Route("/publish", self.publish, methods=["POST"]),
            ],
            lifespan=self.run,
        )

    @asynccontextmanager
    async def run(self, app: App) -> AsyncIterator[None]:
        async with self.channels:
            yield

    async def stream(self, request: Request) -> Response:
        return EventSourceResponse(stream_events(self.channels, request, "news"))

    async def publish(self, request: Request) -> Response:
        await self.channels.publish("news", await request.json())
        return Response(status_code=204)


@pytest.fixture
def running() -> Iterator[Running]:
    service = Service()
    with serve(service.app, build_protocol(), lifespan="on") as running:
        yield running


def open_stream(running: Running, *fields: str) -> socket.socket:
    client = running.connect()
    client.sendall("\r\n".join(["GET /events HTTP/1.1", "Host: a", *fields, "", ""]).encode())
    return client


def read_until(client: socket.socket, end: bytes) -> bytes:
    received = b""
    while end not in received:
        data = client.recv(65536)
        assert data, f"closed after {received!r}"
        received += data
    return received


def publish(running: Running, body: bytes) -> None:
    head = b"POST /publish HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    assert b" 204 " in running.exchange(head % len(body) + body)


def test_a_client_that_comes_again_gets_what_it_missed(running: Running) -> None:
    with open_stream(running) as client:
        read_until(client, b"\r\n\r\n")
        publish(running, b'{"number":1}')
        event = read_until(client, b'data: {"number":1}\n\n')
    last_id = event.split(b"id: ")[1].split(b"\n")[0].decode()
    for number in (2, 3):
        publish(running, b'{"number":%d}' % number)
    with open_stream(running, f"Last-Event-ID: {last_id}") as client:
        missed = read_until(client, b'{"number":3}\n\n')
    assert b'{"number":2}' in missed
    assert b'{"number":1}' not in missed
    with open_stream(running, "Last-Event-ID: none of ours") as client:
        read_until(client, b"\r\n\r\n")
        publish(running, b"4")
        assert b"number" not in read_until(client, b"data: 4\n\n")


@pytest.mark.usefixtures("open_files")
def test_a_thousand_clients_get_each_event_and_an_orderly_end(running: Running) -> None:
    begun_at = time.monotonic()
    clients = [open_stream(running) for _ in range(CLIENTS)]
    try:
        for client in clients:
            read_until(client, b"\r\n\r\n")
        publish(running, b'"hello"')
        for client in clients:
            read_until(client, b"data: hello\n\n")
        running.server.should_exit = True
        for client in clients:
            end = read_until(client, b"0\r\n\r\n")
            assert b"retry: " in end
    finally:
        for client in clients:
            client.close()
    assert time.monotonic() - begun_at < 15


def test_a_stop_ends_a_stream_at_once(running: Running) -> None:
    with open_stream(running) as client:
        read_until(client, b"\r\n\r\n")
        begun_at = time.monotonic()
        running.server.should_exit = True
        assert b"retry: " in read_until(client, b"0\r\n\r\n")
        assert time.monotonic() - begun_at < 1
