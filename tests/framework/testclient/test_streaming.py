"""`client.stream()`: the body is read while the app runs."""

from __future__ import annotations

import threading

import anyio
import httpx2
import pytest

from framework.testclient import TestClient
from framework.types import Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.testclient.apps import Lifespan, body, hello, start


class Counter:
    """Sends numbers for ever, and knows how many it has sent and what happened to it."""

    def __init__(self) -> None:
        self.sent = 0
        self.events: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            while True:
                await send(body(b"%d\n" % self.sent, more=True))
                self.sent += 1
        except anyio.get_cancelled_exc_class():
            self.events.append("cancelled")
            raise


def test_an_endless_body_can_be_read_in_part(client_factory: ClientFactory) -> None:
    app = Counter()
    with client_factory(app).stream("GET", "/") as response:
        lines = response.iter_lines()
        assert [next(lines) for _ in range(3)] == ["0", "1", "2"]
        assert app.events == []
    assert app.events == ["cancelled"]


def test_the_app_goes_no_further_than_the_reader(client_factory: ClientFactory) -> None:
    app = Counter()
    with client_factory(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert app.sent == 0
        for number in range(1, 4):
            next(chunks)
            assert number - 1 <= app.sent <= number
    assert app.sent <= 4


def test_a_response_starts_before_its_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start(201, (b"x-early", b"1")))
        await anyio.sleep_forever()

    with TestClient(app).stream("GET", "/") as response:
        assert response.status_code == 201
        assert response.headers["x-early"] == "1"


def test_a_body_that_is_read_lets_the_app_go_on_to_its_end(client_factory: ClientFactory) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await hello(scope, receive, send)
        events.append((await receive())["type"])
        await anyio.sleep(0.01)
        events.append("end")

    with client_factory(app).stream("GET", "/") as response:
        assert response.read() == b"hello"
    assert events == ["http.disconnect", "end"]


def test_closing_after_the_last_part_lets_the_app_go_on_to_its_end(
    client_factory: ClientFactory,
) -> None:
    done = []
    may_end = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        while not may_end.is_set():  # noqa: ASYNC110
            await anyio.sleep(0.01)
        done.append(True)

    with client_factory(app).stream("GET", "/") as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"hello"
        assert done == []
        may_end.set()
    assert done == [True]


def test_an_unread_response_cancels_the_app(client_factory: ClientFactory) -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await hello(scope, receive, send)
        finally:
            events.append("end")

    with client_factory(app).stream("GET", "/"):
        pass
    assert events == ["end"]


def test_head_has_no_body_in_a_stream() -> None:
    with TestClient(hello).stream("HEAD", "/") as response:
        assert list(response.iter_raw()) == []


def test_responses_can_be_read_in_turns(client_factory: ClientFactory) -> None:
    client = client_factory(Counter())
    with client.stream("GET", "/") as first, client.stream("GET", "/") as second:
        lines, others = first.iter_lines(), second.iter_lines()
        assert next(lines) == "0"
        assert int(next(others)) in {0, 1}
        assert next(lines) > "0"


def test_a_stream_and_a_whole_response_share_the_loop(client_factory: ClientFactory) -> None:
    loops = set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.add(anyio.lowlevel.current_token())
        await hello(scope, receive, send)

    client = client_factory(app)
    with client.stream("GET", "/") as response:
        assert client.get("/").text == "hello"
        assert response.read() == b"hello"
    assert len(loops) == 1


def test_an_abandoned_request_object_streams_when_it_is_sent_again() -> None:
    client = TestClient(Counter())
    request = client.build_request("GET", "/")
    request.extensions["framework.testclient.read_at_once"] = True
    response = client.send(request, stream=True)
    assert next(response.iter_raw()) == b"0\n"
    response.close()


def test_leaving_the_client_ends_open_streams_before_the_shutdown(
    client_factory: ClientFactory,
) -> None:
    counter = Counter()
    app = Lifespan(counter)
    client = client_factory(app)
    with client:
        response = client.send(client.build_request("GET", "/"), stream=True)
        chunks = response.iter_raw()
        assert next(chunks) == b"0\n"
    assert counter.events == ["cancelled"]
    assert app.events == ["startup", "request", "shutdown"]
    with pytest.raises(httpx2.StreamClosed):
        next(chunks)


def test_closing_the_client_ends_open_streams(client_factory: ClientFactory) -> None:
    app = Counter()
    client = client_factory(app)
    client.send(client.build_request("GET", "/"), stream=True)
    client.close()
    assert app.events == ["cancelled"]


def test_a_stream_outlives_the_last_reference_to_its_client(client_factory: ClientFactory) -> None:
    client = client_factory(hello)
    response = client.send(client.build_request("GET", "/"), stream=True)
    del client
    assert response.read() == b"hello"
