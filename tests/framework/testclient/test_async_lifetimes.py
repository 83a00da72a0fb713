"""What lives longer than a call of `AsyncTestClient`: open streams and the lifespan."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import anyio
import httpx2
import pytest

from framework.testclient import AsyncTestClient
from framework.types import ASGIApp, Receive, Scope, Send
from tests.framework.testclient.apps import Lifespan, body, describe, hello, start

pytestmark = pytest.mark.anyio


class Failure(Exception):
    pass


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


# On trio: the generators of the HTTP client library are left half way; ours are not.
@pytest.mark.filterwarnings("ignore:Async generator 'httpx2:ResourceWarning")
async def test_an_endless_body_can_be_read_in_part() -> None:
    app = Counter()
    async with AsyncTestClient(app).stream("GET", "/") as response:
        lines = response.aiter_lines()
        assert [await anext(lines) for _ in range(3)] == ["0", "1", "2"]
        assert app.events == []
        assert app.sent <= 4
    assert app.events == ["cancelled"]


async def test_a_body_that_is_read_lets_the_app_go_on_to_its_end() -> None:
    events = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await hello(scope, receive, send)
        events.append((await receive())["type"])
        await anyio.sleep(0.01)
        events.append("end")

    async with AsyncTestClient(app).stream("GET", "/") as response:
        assert await response.aread() == b"hello"
    assert events == ["http.disconnect", "end"]


async def test_streams_may_be_closed_in_any_order_and_head_has_no_body() -> None:
    app = Counter()
    client = AsyncTestClient(app)
    first = await client.send(client.build_request("GET", "/"), stream=True)
    second = await client.send(client.build_request("GET", "/"), stream=True)
    await first.aclose()
    await second.aclose()
    assert app.events == ["cancelled"] * 2
    async with AsyncTestClient(hello).stream("HEAD", "/") as response:
        assert await response.aread() == b""


def test_an_abandoned_stream_ends_with_its_loop(anyio_backend_name: str) -> None:
    app = Counter()

    async def abandon() -> None:
        client = AsyncTestClient(app)
        await client.send(client.build_request("GET", "/"), stream=True)
        del client
        gc.collect()
        await anyio.wait_all_tasks_blocked()
        assert app.events == []

    anyio.run(abandon, backend=anyio_backend_name)
    assert app.events == ["cancelled"]


async def test_a_system_exit_in_the_app_reaches_the_test() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/leave":
            raise SystemExit(3)
        await hello(scope, receive, send)

    client = AsyncTestClient(app)
    with pytest.raises(SystemExit):
        await client.get("/leave")
    assert (await client.get("/")).text == "hello"


async def test_leaving_the_client_ends_open_streams_before_the_shutdown() -> None:
    counter = Counter()
    app = Lifespan(counter)
    async with AsyncTestClient(app) as client:
        response = await client.send(client.build_request("GET", "/"), stream=True)
        assert app.events == ["startup", "request"]
    assert counter.events == ["cancelled"]
    assert app.events == ["startup", "request", "shutdown"]
    with pytest.raises(httpx2.StreamClosed):
        await response.aread()


async def test_the_lifespan_surrounds_the_requests_each_time() -> None:
    app = Lifespan(describe, {"pool": "open"})
    client = AsyncTestClient(app)
    for _ in range(2):
        async with client:
            assert (await client.get("/")).json()["state"] == {"pool": "open"}
            assert client.app_state == {"pool": "open"}
    await client.get("/")
    assert app.events == ["startup", "request", "shutdown"] * 2 + ["request"]


def lifespan_app(handle: Callable[[Receive, Send], Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await handle(receive, send)
        else:
            await hello(scope, receive, send)

    return app


async def test_a_failing_startup_is_raised_and_leaves_a_client_that_works() -> None:
    async def handle(receive: Receive, send: Send) -> None:
        await receive()
        raise Failure("startup")

    client = AsyncTestClient(lifespan_app(handle))
    with pytest.raises(Failure, match="startup"):
        async with client:
            pytest.fail("entered")
    assert (await client.get("/")).text == "hello"


async def test_a_failing_shutdown_is_raised() -> None:
    async def handle(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise Failure("shutdown")

    with pytest.raises(Failure, match="shutdown"):
        async with AsyncTestClient(lifespan_app(handle)) as client:
            await client.get("/")


async def test_a_cancelled_test_still_shuts_the_app_down() -> None:
    app = Lifespan()
    with anyio.CancelScope() as scope:
        async with AsyncTestClient(app):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert app.events == ["startup", "shutdown"]


async def test_a_cancelled_startup_leaves_nothing_behind() -> None:
    ends: list[str] = []

    async def handle(receive: Receive, send: Send) -> None:
        try:
            test.cancel()
            await anyio.sleep_forever()
        finally:
            ends.append("gone")

    with anyio.CancelScope() as test:
        async with AsyncTestClient(lifespan_app(handle)):
            pytest.fail("entered")
    assert ends == ["gone"]


async def test_the_client_may_be_entered_in_one_task_and_left_in_another() -> None:
    app = Lifespan()
    client = AsyncTestClient(app)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.__aenter__)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.__aexit__)
    assert app.events == ["startup", "shutdown"]
