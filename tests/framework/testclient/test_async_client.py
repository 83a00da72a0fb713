"""`AsyncTestClient`: the same answers as `TestClient`, in the loop of the test."""

from __future__ import annotations

import contextvars
import copy
import functools
import inspect
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from framework.exceptions import StarletteDeprecationWarning
from framework.testclient import AsyncTestClient, TestClient
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.framework.testclient.apps import Lifespan, body, describe, hello, read_body, sends, start

pytestmark = pytest.mark.anyio


class Failure(Exception):
    pass


class Recorder:
    """Keeps the scopes; answers as told."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(copy.deepcopy(scope))
        if scope["path"] == "/redirect":
            await send(start(307, (b"location", b"/target?x=1")))
            await send(body(b"moved"))
        elif scope["path"] == "/cookie":
            await send(start(201, (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Path=/")))
            await send(body(b"part ", more=True))
            await send(body(b"whole"))
        else:
            await describe(scope, receive, send)


def summarize(response: httpx2.Response) -> dict[str, Any]:
    return {
        "status": response.status_code,
        "headers": response.headers.raw,
        "content": response.content,
        "history": [summarize(earlier) for earlier in response.history],
        "url": response.url,
        "is_closed": response.is_closed,
    }


@pytest.mark.parametrize(
    ("method", "url", "arguments"),
    [
        ("GET", "/", {}),
        ("GET", "/a/b?c=d&e=%20f#fragment", {}),
        ("GET", "/caf%C3%A9/☃", {"params": {"q": "ü", "r": ["1", "2"]}}),
        ("GET", "https://example.org:8443/x", {"headers": {"X-Name": "Ada"}}),
        ("GET", "http://[::1]:81/x", {"auth": ("user", "password")}),
        ("HEAD", "/", {}),
        ("POST", "/", {"content": b"bytes"}),
        ("POST", "/", {"json": {"a": [1, None]}}),
        ("POST", "/", {"data": {"a": "1", "b": ["2", "3"]}}),
        (
            "PUT",
            "/",
            {
                "files": {"f": ("f.txt", b"file", "text/plain")},
                "headers": {"content-type": "multipart/form-data; boundary=b"},
            },
        ),
        ("PURGE", "relative", {}),
        ("POST", "/redirect", {"content": b"again"}),
        ("GET", "/redirect", {"follow_redirects": False}),
        ("GET", "/cookie", {}),
    ],
)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "base_url": "https://example.org/base/",
            "root_path": "/root",
            "client": ("192.0.2.1", 1),
            "headers": {"x-default": "1"},
            "cookies": {"c": "1"},
            "follow_redirects": False,
        },
    ],
    ids=["defaults", "options"],
)
async def test_both_clients_send_and_get_the_same(
    method: str, url: str, arguments: dict[str, Any], options: dict[str, Any]
) -> None:
    here, there = Recorder(), Recorder()
    client = AsyncTestClient(here, **options)
    other = TestClient(there, **options)

    def request() -> list[dict[str, Any]]:
        expected = [summarize(other.request(method, url, **arguments)) for _ in range(2)]
        other.close()
        return expected

    expected = await anyio.to_thread.run_sync(request)
    # The second one with the cookies of the first.
    answers = [summarize(await client.request(method, url, **arguments)) for _ in range(2)]
    assert answers == expected
    assert here.scopes == there.scopes
    assert dict(client.cookies) == dict(other.cookies)


def test_both_clients_have_the_same_methods() -> None:
    ours = inspect.signature(AsyncTestClient).parameters
    theirs = inspect.signature(TestClient).parameters
    assert [name for name in theirs if name not in {"backend", "backend_options"}] == list(ours)
    assert all(ours[name].default == theirs[name].default for name in ours)
    connect = inspect.signature(TestClient.websocket_connect).parameters
    assert list(inspect.signature(AsyncTestClient.websocket_connect).parameters) == list(connect)


@pytest.mark.parametrize("method", ["get", "options", "head", "post", "put", "patch", "delete"])
async def test_every_method_has_a_shortcut(method: str) -> None:
    app = Recorder()
    assert (await getattr(AsyncTestClient(app), method)("/")).status_code == 200
    assert app.scopes[0]["method"] == method.upper()


async def test_the_app_runs_in_the_loop_of_the_test_in_a_task_of_its_own() -> None:
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((anyio.lowlevel.current_token(), variable.get()))
        variable.set("of the app")
        assert anyio.get_current_task().id != test_task
        await hello(scope, receive, send)

    test_task = anyio.get_current_task().id
    variable.set("of the test")
    assert (await AsyncTestClient(app).get("/")).text == "hello"
    assert seen == [(anyio.lowlevel.current_token(), "of the test")]
    assert variable.get() == "of the test"


class Pool:
    """Something that belongs to the loop it was opened in."""

    def __init__(self) -> None:
        self.loop = anyio.lowlevel.current_token()
        self.lock = anyio.Lock()
        self.released = anyio.Event()

    async def work(self) -> str:
        async with self.lock:
            await self.released.wait()
            await anyio.lowlevel.checkpoint()
        return "same loop" if anyio.lowlevel.current_token() == self.loop else "another loop"


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool()
    yield pool
    assert not pool.lock.locked()


@pytest.fixture
async def client(pool: Pool) -> AsyncIterator[AsyncTestClient]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start())
        await send(body((await scope["state"]["pool"].work()).encode()))

    async with AsyncTestClient(Lifespan(app, {"pool": pool})) as client:
        yield client


async def test_a_pool_of_a_fixture_is_usable_by_the_app(
    pool: Pool, client: AsyncTestClient
) -> None:
    texts = []

    async def fetch() -> None:
        texts.append((await client.get("/")).text)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fetch)
        tasks.start_soon(fetch)
        await anyio.wait_all_tasks_blocked()
        assert pool.lock.locked()
        pool.released.set()
    assert texts == ["same loop"] * 2


async def test_a_body_may_be_an_async_iterator() -> None:
    chunks: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        chunks.extend(await read_body(receive))
        if scope["path"] == "/again":
            await send(start(307, (b"location", b"/")))
        else:
            await send(start())
        await send(body())

    async def content() -> AsyncIterator[bytes]:
        for chunk in (b"it", b"", b"er"):
            await anyio.lowlevel.checkpoint()
            yield chunk

    client = AsyncTestClient(app)
    assert (await client.post("/", content=content())).status_code == 200
    assert chunks == [b"it", b"er", b""]
    chunks.clear()
    # The iterator is exhausted; the redirect has to send the same body.
    response = await client.post("/again", content=content())
    assert [earlier.status_code for earlier in response.history] == [307]
    assert b"".join(chunks) == b"iteriter"


async def test_a_timeout_is_deprecated() -> None:
    with pytest.warns(StarletteDeprecationWarning, match="no time-outs"):
        await AsyncTestClient(hello).get("/", timeout=1)
    with pytest.warns(StarletteDeprecationWarning) as caught:
        await AsyncTestClient(hello).request("GET", "/", timeout=1)
    assert caught[0].filename == __file__


async def fail_early(scope: Scope, receive: Receive, send: Send) -> None:
    raise Failure


async def fail_midway(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(body(b"partial", more=True))
    raise Failure


async def fail_late(scope: Scope, receive: Receive, send: Send) -> None:
    await hello(scope, receive, send)
    raise Failure


@pytest.mark.parametrize(
    ("app", "status", "content"),
    [(fail_early, 500, b""), (fail_midway, 200, b"partial"), (fail_late, 200, b"hello")],
)
async def test_the_exception_of_the_app_is_raised_or_is_a_response(
    app: ASGIApp, status: int, content: bytes
) -> None:
    client = AsyncTestClient(app)
    with pytest.raises(Failure):
        await client.get("/")
    with pytest.raises(Failure):
        async with client.stream("GET", "/") as streamed:
            await streamed.aread()
    client = AsyncTestClient(app, raise_server_exceptions=False)
    response = await client.get("/")
    assert (response.status_code, response.content) == (status, content)
    async with client.stream("GET", "/") as streamed:
        assert (streamed.status_code, await streamed.aread()) == (status, content)


async def test_a_wrong_response_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="returned without sending one"):
        await AsyncTestClient(sends()).get("/")
    with pytest.raises(AssertionError, match=r"second 'http.response.start'"):
        await AsyncTestClient(sends(start(), start())).get("/")


async def test_an_asgi_2_app_is_called_too() -> None:
    def app(scope: Scope) -> Callable[[Receive, Send], Any]:
        return functools.partial(hello, scope)

    client = AsyncTestClient(app)  # type: ignore[arg-type]
    assert (await client.get("/")).text == "hello"


async def test_a_cancelled_test_cancels_the_app() -> None:
    ends: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] == "/stream":
                await send(start())
            else:
                test.cancel()
            await anyio.sleep_forever()
        finally:
            ends.append(scope["path"])

    client = AsyncTestClient(app)
    with anyio.CancelScope() as test:
        await client.get("/")
    assert test.cancelled_caught
    assert ends == ["/"]
    with anyio.CancelScope() as test:
        async with client.stream("GET", "/unstarted"):
            pytest.fail("started")
    with anyio.CancelScope() as test:
        async with client.stream("GET", "/stream") as response:
            test.cancel()
            await response.aread()
    assert ends == ["/", "/unstarted", "/stream"]
    with anyio.CancelScope() as scope:
        scope.cancel()
        await client.get("/never")


async def test_both_clients_see_the_same_debug_and_trailers() -> None:
    messages: list[Message] = [
        {"type": "http.response.debug", "info": {"template": "t", "context": {"a": 1}}},
        start(trailers=True),
        body(),
        {"type": "http.response.trailers", "headers": [(b"x", b"y")]},
    ]
    response = await AsyncTestClient(sends(*messages)).get("/")
    assert response.extensions["http.response.trailers"] == [(b"x", b"y")]
    assert (response.template, response.context) == ("t", {"a": 1})  # type: ignore[attr-defined]
    assert json.dumps(response.extensions["http.response.debug"])
