"""The loop of a client: one for all its requests, gone when the client is gone."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import sniffio

from framework.testclient import TestClient
from framework.testclient._portal import is_in_event_loop
from framework.types import ASGIApp, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.testclient.apps import Lifespan, body, hello, start

ROOT = Path(__file__).parents[3]


def loop_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("testclient-")}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    gc.collect()
    before = loop_threads()
    yield
    gc.collect()
    deadline = time.monotonic() + 5
    while loop_threads() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert loop_threads() <= before


class LoopSpy:
    """Keeps the thread and the loop of each request."""

    def __init__(self, app: ASGIApp = hello) -> None:
        self.app = app
        self.loops: list[anyio.lowlevel.EventLoopToken] = []
        self.threads: list[threading.Thread] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.loops.append(anyio.lowlevel.current_token())
        self.threads.append(threading.current_thread())
        await self.app(scope, receive, send)


def test_a_client_that_sends_nothing_has_no_loop(client_factory: ClientFactory) -> None:
    before = loop_threads()
    client = client_factory(hello)
    assert loop_threads() == before
    client.close()


def test_all_requests_of_a_client_share_a_loop(client_factory: ClientFactory) -> None:
    app = LoopSpy()
    client = client_factory(app)
    for _ in range(3):
        client.get("/")
    assert len(app.loops) == 3
    assert len(set(app.loops)) == 1


def test_two_clients_have_two_loops(client_factory: ClientFactory) -> None:
    app = LoopSpy()
    first, second = client_factory(app), client_factory(app)
    first.get("/")
    second.get("/")
    assert len(set(app.loops)) == 2


def test_what_is_bound_to_the_loop_survives_a_request(client_factory: ClientFactory) -> None:
    lock = anyio.Lock()
    events: dict[str, anyio.Event] = {}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        events.setdefault("done", anyio.Event()).set()
        async with lock:
            await events["done"].wait()
            await hello(scope, receive, send)

    client = client_factory(app)
    assert [client.get("/").text for _ in range(3)] == ["hello"] * 3


def test_close_ends_the_thread(client_factory: ClientFactory) -> None:
    app = LoopSpy()
    client = client_factory(app)
    client.get("/")
    assert app.threads[0].is_alive()
    client.close()
    assert not app.threads[0].is_alive()


def test_close_inside_with_leaves_the_lifespan_its_loop(client_factory: ClientFactory) -> None:
    app = Lifespan()
    with client_factory(app) as client:
        client.close()
        assert app.events == ["startup"]
    assert app.events == ["startup", "shutdown"]


def test_leaving_with_ends_the_thread(client_factory: ClientFactory) -> None:
    app = LoopSpy(Lifespan())
    client = client_factory(app)
    with client:
        client.get("/")
    assert len(set(app.threads)) == 1
    assert not app.threads[0].is_alive()
    client.get("/")
    assert app.threads[-1].is_alive()
    assert app.loops[-1] != app.loops[0]


def test_the_last_reference_ends_the_thread(client_factory: ClientFactory) -> None:
    app = LoopSpy()
    client = client_factory(app)
    client.get("/")
    del client
    assert not app.threads[0].is_alive()


def test_the_garbage_collector_ends_the_thread_of_a_cycle(client_factory: ClientFactory) -> None:
    app = LoopSpy()
    client = client_factory(app)
    client.get("/")
    client.cycle = client  # type: ignore[attr-defined]
    del client
    assert app.threads[0].is_alive()
    gc.collect()
    assert not app.threads[0].is_alive()


def test_a_client_can_be_collected_in_its_own_loop(client_factory: ClientFactory) -> None:
    held: list[TestClient] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)

    async def drop() -> None:
        await anyio.sleep(0.02)
        held.clear()
        gc.collect()

    spy = LoopSpy(app)
    held.append(client_factory(spy))
    held[0].get("/")
    portal = held[0]._keeper.open()
    portal.start_task_soon(drop)
    spy.threads[0].join(5)
    assert not spy.threads[0].is_alive()


def test_a_client_can_be_collected_in_the_loop_of_another(client_factory: ClientFactory) -> None:
    spy = LoopSpy()
    held = [client_factory(spy)]
    held[0].get("/")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        held.clear()
        gc.collect()
        await hello(scope, receive, send)

    other = client_factory(app)
    assert other.get("/").text == "hello"
    spy.threads[0].join(5)
    assert not spy.threads[0].is_alive()


def test_a_callback_of_a_loop_is_in_the_loop_whatever_its_context_says() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        called = anyio.Event()
        context = contextvars.copy_context()
        context.run(sniffio.current_async_library_cvar.set, "trio")
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: seen.append(is_in_event_loop()), context=context)
        loop.call_soon(called.set)
        await called.wait()
        await hello(scope, receive, send)

    assert TestClient(app).get("/").text == "hello"
    assert seen == [True]
    assert not is_in_event_loop()


def test_an_unfinished_stream_does_not_keep_the_thread(client_factory: ClientFactory) -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        while True:
            await send(body(b"x", more=True))

    app = LoopSpy(endless)
    client = client_factory(app)
    response = client.send(client.build_request("GET", "/"), stream=True)
    del client, response
    gc.collect()
    assert not app.threads[0].is_alive()


def test_the_app_sees_the_context_of_the_test(client_factory: ClientFactory) -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(variable.get())
        variable.set("of the app")
        await hello(scope, receive, send)

    client = client_factory(app)
    for value in ("one", "two"):
        variable.set(value)
        client.get("/")
    assert seen == ["one", "two"]
    assert variable.get() == "two"


def test_a_client_serves_several_threads(client_factory: ClientFactory) -> None:
    app = LoopSpy()
    client = client_factory(app)
    texts = []
    threads = [
        threading.Thread(target=lambda: texts.append(client.get("/").text)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert texts == ["hello"] * 8
    assert len(set(app.loops)) == 1


def test_a_backend_that_cannot_start_says_why() -> None:
    backend: Any = "nonsense"
    client = TestClient(hello, backend=backend)
    with pytest.raises(LookupError, match="nonsense"):
        client.get("/")


async def leave(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/leave":
        raise SystemExit(3)
    await hello(scope, receive, send)


def test_a_system_exit_in_the_app_reaches_the_test(client_factory: ClientFactory) -> None:
    client = client_factory(leave)
    for _ in range(20):
        with pytest.raises(SystemExit):
            client.get("/leave")
        assert client.get("/").text == "hello"
        with pytest.raises(SystemExit), client.stream("GET", "/leave"):
            pytest.fail("started")
        assert client.get("/").text == "hello"
    client.close()  # the captured log of asyncio holds the exception, and so the client


def test_a_system_exit_ends_the_lifespan_too(client_factory: ClientFactory) -> None:
    app = Lifespan(leave)
    with client_factory(app) as client:
        with pytest.raises(SystemExit):
            client.get("/leave")
        with pytest.raises(RuntimeError, match="event loop of the app has ended"):
            client.get("/")
    assert client.get("/").text == "hello"
    client.close()


def test_an_interrupt_cancels_the_app(client_factory: ClientFactory) -> None:
    ends = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] == "/stream":
                await send(start())
                await anyio.sleep(0.1)  # the reader waits
            os.kill(os.getpid(), 2)
            await anyio.sleep_forever()
        finally:
            ends.append(scope["path"])

    client = client_factory(app)
    with pytest.raises(KeyboardInterrupt):
        client.get("/")
    assert ends == ["/"]
    with pytest.raises(KeyboardInterrupt), client.stream("GET", "/unstarted"):
        pytest.fail("started")
    assert ends == ["/", "/unstarted"]
    with pytest.raises(KeyboardInterrupt), client.stream("GET", "/stream") as response:
        response.read()
    assert ends == ["/", "/unstarted", "/stream"]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_fork_gets_a_loop_of_its_own() -> None:
    client = TestClient(hello)
    client.get("/")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if client.get("/").text == "hello" else 1)
        finally:
            os._exit(2)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        pytest.fail("the child waits for a thread that it does not have")
    assert os.waitstatus_to_exitcode(status) == 0
    assert client.get("/").text == "hello"


FORGETFUL = """
from framework.testclient import TestClient
from framework.testclient._portal import is_in_event_loop
from tests.framework.testclient.apps import Lifespan, hello

client = TestClient(hello, backend={backend!r})
assert client.get("/").text == "hello"
entered = TestClient(Lifespan(), backend={backend!r})
entered.__enter__()
print("end")
"""


def test_a_client_that_is_never_closed_ends_with_the_process(anyio_backend_name: str) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            FORGETFUL.format(backend=anyio_backend_name),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")
