"""sse-starlette: a response class that sends events itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from sse_starlette import EventSourceResponse, JSONServerSentEvent, ServerSentEvent
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.routing import Route
from starlette.testclient import TestClient


async def count() -> AsyncIterator[Any]:
    yield {"event": "count", "id": "1", "data": "one\ntwo"}
    yield ServerSentEvent("three", event="count", id="2", retry=10)
    yield JSONServerSentEvent({"n": 4})


def count_sync() -> Iterator[str]:
    yield "a"
    yield "b"


async def stream(request: Request) -> EventSourceResponse:
    done: list[str] = request.app.state.done
    task = BackgroundTask(done.append, "background")
    return EventSourceResponse(count(), headers={"X-Own": "1"}, background=task, ping=0)


async def stream_sync(request: Request) -> EventSourceResponse:
    return EventSourceResponse(count_sync(), sep="\n", ping=0)


async def watch(request: Request) -> EventSourceResponse:
    async def wait() -> AsyncIterator[str]:
        yield "first"
        while not await request.is_disconnected():  # noqa: ASYNC110
            await anyio.sleep(0.01)
        request.app.state.done.append("left")

    return EventSourceResponse(wait(), ping=0)


@pytest.fixture
def app() -> Starlette:
    routes = [Route("/", stream), Route("/sync", stream_sync), Route("/watch", watch)]
    app = Starlette(routes=routes)
    app.state.done = []
    return app


def test_events_are_sent(app: Starlette) -> None:
    response = TestClient(app).get("/")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-own"] == "1"
    assert response.text == (
        "id: 1\r\nevent: count\r\ndata: one\r\ndata: two\r\n\r\n"
        "id: 2\r\nevent: count\r\ndata: three\r\nretry: 10\r\n\r\n"
        'data: {"n":4}\r\n\r\n'
    )
    assert app.state.done == ["background"]


def test_a_sync_generator_runs_in_a_thread(app: Starlette) -> None:
    assert TestClient(app).get("/sync").text == "data: a\n\ndata: b\n\n"


class Leaver:
    """A client that leaves after the first event."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.is_requested = False
        self.started = anyio.Event()

    async def receive(self) -> Any:
        if not self.is_requested:
            self.is_requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.started.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message.get("body"):
            self.bodies.append(message["body"])
            self.started.set()


def test_a_client_that_leaves_ends_the_stream(app: Starlette) -> None:
    async def exchange() -> Leaver:
        leaver = Leaver()
        scope = {"type": "http", "method": "GET", "path": "/watch", "headers": []}
        scope |= {"query_string": b"", "root_path": "", "http_version": "1.1"}
        with anyio.fail_after(5):
            await app(scope, leaver.receive, leaver.send)
        return leaver

    assert anyio.run(exchange).bodies == [b"data: first\r\n\r\n"]
