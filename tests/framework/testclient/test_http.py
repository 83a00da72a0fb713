"""One request, one response: what the app sees and what the test sees."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import anyio
import httpx2
import pytest

from framework.exceptions import StarletteDeprecationWarning
from framework.testclient import TestClient
from framework.types import Message, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.testclient.apps import body, describe, hello, read_body, sends, start


def test_a_response_comes_back(client_factory: ClientFactory) -> None:
    response = client_factory(hello).get("/")
    assert response.status_code == 200
    assert response.text == "hello"
    assert response.headers["content-type"] == "text/plain"
    assert response.is_closed
    assert response.elapsed.total_seconds() > 0


def test_the_scope_is_that_of_a_server() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await hello(scope, receive, send)

    client = TestClient(app, root_path="/api", client=("10.0.0.1", 4711), headers={"X-Name": "Ada"})
    client.get("/items/caf%C3%A9?q=a%20b&q=c")
    assert scopes == [
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/items/café",
            "raw_path": b"/items/caf%C3%A9",
            "root_path": "/api",
            "query_string": b"q=a%20b&q=c",
            "headers": [
                (b"host", b"testserver"),
                (b"accept", b"*/*"),
                (b"accept-encoding", scopes[0]["headers"][2][1]),
                (b"connection", b"keep-alive"),
                (b"x-name", b"Ada"),
                (b"user-agent", b"testclient"),
            ],
            "client": ("10.0.0.1", 4711),
            "server": ["testserver", 80],
            "extensions": {"http.response.debug": {}, "http.response.trailers": {}},
            "state": {},
        }
    ]


@pytest.mark.parametrize(
    ("base_url", "server", "host"),
    [
        ("http://testserver", ["testserver", 80], "testserver"),
        ("https://example.org", ["example.org", 443], "example.org"),
        ("https://example.org:8443/", ["example.org", 8443], "example.org:8443"),
        ("http://[::1]", ["::1", 80], "[::1]"),
        ("http://testserver:0", ["testserver", 0], "testserver:0"),
        ("http://[2001:db8::1]:8000", ["2001:db8::1", 8000], "[2001:db8::1]:8000"),
    ],
)
def test_the_base_url_gives_host_and_port(base_url: str, server: list[Any], host: str) -> None:
    scope = TestClient(describe, base_url).get("/").json()
    assert scope["server"] == server
    assert scope["headers"][0] == ["b'host'", repr(host.encode())]


def test_the_path_of_the_base_url_comes_first() -> None:
    assert TestClient(describe, "http://testserver/api").get("/x").json()["path"] == "/api/x"


def test_the_path_is_decoded_once() -> None:
    scope = TestClient(describe).get("/%2541").json()
    assert scope["path"] == "/%41"
    assert scope["raw_path"] == "b'/%2541'"


def test_header_bytes_arrive_as_they_are() -> None:
    scope = TestClient(describe).get("/", headers=[(b"X-Name", "é".encode("latin-1"))]).json()
    assert ["b'x-name'", repr(b"\xe9")] in scope["headers"]


def test_response_header_bytes_arrive_as_they_are() -> None:
    app = sends(start(200, (b"X-Name", "é".encode("latin-1"))), body())
    assert (b"X-Name", b"\xe9") in TestClient(app).get("/").headers.raw


def test_the_user_agent_can_be_replaced_in_any_case() -> None:
    headers = {"User-Agent": "curl"}
    scope = TestClient(describe, headers=headers).get("/").json()
    agents = [value for name, value in scope["headers"] if name == "b'user-agent'"]
    assert agents == [repr(b"curl")]
    assert headers == {"User-Agent": "curl"}


def test_a_request_without_a_host_field_gets_one() -> None:
    request = httpx2.Request("GET", "http://example.org:81/", stream=httpx2.ByteStream(b""))
    scope = TestClient(describe).send(request).json()
    assert scope["headers"] == [["b'host'", "b'example.org:81'"]]


def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(httpx2.UnsupportedProtocol, match="The scheme 'ftp' is unknown"):
        TestClient(hello).get("ftp://testserver/")


@pytest.mark.parametrize("method", ["get", "options", "head", "post", "put", "patch", "delete"])
def test_every_method_has_a_shortcut(method: str) -> None:
    methods = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        methods.append(scope["method"])
        await hello(scope, receive, send)

    assert getattr(TestClient(app), method)("/").status_code == 200
    assert methods == [method.upper()]


def test_head_has_headers_and_no_body() -> None:
    response = TestClient(hello).head("/")
    assert response.headers["content-length"] == "5"
    assert response.content == b""


def test_a_body_of_known_length_is_one_message() -> None:
    seen: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        await hello(scope, receive, send)

    client = TestClient(app)
    client.post("/", content=b"data")
    client.post("/", json={"a": 1})
    client.post("/", data={"a": "1"})
    client.get("/")
    bodies = [b"data", b'{"a":1}', b"a=1", b""]
    assert seen == [{"type": "http.request", "body": x, "more_body": False} for x in bodies]


def test_a_file_upload_is_one_message() -> None:
    scope = TestClient(describe).post("/", files={"f": ("a.txt", b"x" * 100_000)}).json()
    assert scope["content"].count("x") >= 100_000
    assert 'filename="a.txt"' in scope["content"]


def test_a_body_of_unknown_length_is_read_while_the_app_asks_for_it() -> None:
    taken = []

    def produce() -> Iterator[bytes]:
        for chunk in (b"one", b"", b"two", b"three"):
            taken.append(chunk)
            yield chunk

    async def reject(scope: Scope, receive: Receive, send: Send) -> None:
        assert (await receive())["body"] == b"one"
        assert taken == [b"one"]
        assert (await receive())["body"] == b"two"
        await send(start(413))
        await send(body())

    assert TestClient(reject).post("/", content=produce()).status_code == 413
    assert taken == [b"one", b"", b"two"]


def test_a_body_of_unknown_length_is_several_messages() -> None:
    chunks = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        chunks.extend(await read_body(receive))
        await hello(scope, receive, send)

    response = TestClient(app).post("/", content=iter([b"one", b"two"]))
    assert chunks == [b"one", b"two", b""]
    assert response.request.content == b"onetwo"


@pytest.mark.parametrize("content", [b"data", None], ids=["bytes", "iterator"])
def test_a_redirect_sends_the_body_again(content: bytes | None) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/new":
            await describe(scope, receive, send)
            return
        await read_body(receive)
        await send(start(307, (b"location", b"/new")))
        await send(body())

    response = TestClient(app).post("/", content=content or iter([b"da", b"ta"]))
    assert response.json()["content"] == "data"
    assert [r.status_code for r in response.history] == [307]


def test_redirects_are_followed_unless_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/new":
            await hello(scope, receive, send)
            return
        await send(start(302, (b"location", b"/new")))
        await send(body())

    assert TestClient(app).get("/").text == "hello"
    assert TestClient(app).get("/", follow_redirects=False).status_code == 302
    assert TestClient(app, follow_redirects=False).get("/").status_code == 302


def test_cookies_are_kept_and_sent() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        cookie = dict(scope["headers"]).get(b"cookie", b"")
        await send(start(200, (b"set-cookie", b"seen=1; Path=/")))
        await send(body(cookie))

    client = TestClient(app, cookies={"own": "2"})
    assert client.get("/").text == "own=2"
    assert sorted(client.get("/").text.split("; ")) == ["own=2", "seen=1"]


class CallInSlot:
    """Has its `__call__` in a slot, as the middleware of sentry-sdk."""

    __slots__ = ("__call__",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.__call__ = call


async def serve_asgi3(scope: Scope, receive: Receive, send: Send) -> None:
    await hello(scope, receive, send)


def serve_asgi2(scope: Scope) -> Callable[[Receive, Send], Awaitable[None]]:
    async def run(receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)

    return run


@pytest.mark.parametrize("call", [serve_asgi3, serve_asgi2])
def test_an_app_may_have_its_call_in_a_slot(call: Callable[..., Any]) -> None:
    assert TestClient(CallInSlot(call)).get("/").text == "hello"


class Listener:
    """Listens for the disconnect while it answers."""

    def __init__(self) -> None:
        self.events: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.listen, receive)
            await anyio.wait_all_tasks_blocked()
            await send(start())
            await send(body(b"all"))
            self.events.append("sent")

    async def listen(self, receive: Receive) -> None:
        self.events.append((await receive())["type"])


def test_the_disconnect_comes_after_the_response(client_factory: ClientFactory) -> None:
    app = Listener()
    assert client_factory(app).get("/").text == "all"
    assert sorted(app.events) == ["http.disconnect", "sent"]


def test_the_client_waits_for_what_the_app_does_after_the_response(
    client_factory: ClientFactory,
) -> None:
    done = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await hello(scope, receive, send)
        await anyio.sleep(0.01)
        done.append(True)

    client_factory(app).get("/")
    assert done == [True]


TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"42")]}


def test_a_start_message_may_have_no_headers() -> None:
    response = TestClient(sends({"type": "http.response.start", "status": 204}, body())).get("/")
    assert response.status_code == 204
    assert response.headers.raw == []


@pytest.mark.parametrize("content", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes")])
def test_a_body_may_be_any_bytes_like_object(content: bytes) -> None:
    assert TestClient(sends(start(), body(content))).get("/").content == b"bytes"


def test_trailers_are_an_extension_of_the_response() -> None:
    first = {**TRAILERS, "more_trailers": True}
    last = {"type": "http.response.trailers", "headers": [(b"x-end", b"1")]}
    client = TestClient(sends(start(trailers=True), body(b"data"), first, last))
    expected = [(b"x-sum", b"42"), (b"x-end", b"1")]
    response = client.get("/")
    assert response.content == b"data"
    assert response.extensions["http.response.trailers"] == expected
    with client.stream("GET", "/") as streamed:
        assert streamed.read() == b"data"
        assert streamed.extensions["http.response.trailers"] == expected
    assert "http.response.trailers" not in TestClient(hello).get("/").extensions


def test_debug_information_is_on_the_response() -> None:
    debug = {"type": "http.response.debug", "info": {"template": "page.html", "context": {"a": 1}}}
    response: Any = TestClient(sends(debug, start(), body())).get("/")
    assert response.extensions["http.response.debug"] == debug["info"]
    assert response.template == "page.html"
    assert response.context == {"a": 1}
    assert not hasattr(TestClient(hello).get("/"), "template")


def test_the_timeout_argument_is_deprecated() -> None:
    with pytest.warns(StarletteDeprecationWarning, match="no time-outs"):
        TestClient(hello).get("/", timeout=1)


def test_a_closed_client_sends_nothing() -> None:
    client = TestClient(hello)
    client.close()
    with pytest.raises(RuntimeError, match="has been closed"):
        client.get("/")


def test_an_asgi_2_app_is_adapted(client_factory: ClientFactory) -> None:
    class Instance:
        def __init__(self, scope: Scope) -> None:
            self.scope = scope

        async def __call__(self, receive: Receive, send: Send) -> None:
            await hello(self.scope, receive, send)

    app: Any = Instance
    assert client_factory(app).get("/").text == "hello"


def test_a_plain_function_that_returns_an_awaitable_is_an_asgi_3_app() -> None:
    def app(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return hello(scope, receive, send)

    assert TestClient(app).get("/").text == "hello"


def test_a_callable_without_a_signature_is_an_asgi_3_app(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(app: Callable[..., Any]) -> inspect.Signature:
        raise ValueError

    monkeypatch.setattr(inspect, "signature", refuse)
    assert TestClient(hello).app is hello


def test_something_else_is_no_app() -> None:
    app: Any = lambda scope, receive: None  # noqa: E731 - its repr is in the message
    with pytest.raises(TypeError, match=r"lambda.* is no ASGI app"):
        TestClient(app)


def test_an_app_that_only_looks_for_a_message_finds_the_end(client_factory: ClientFactory) -> None:
    found = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive)
        for answer in (hello, None):
            with anyio.CancelScope() as cancel_scope:
                cancel_scope.cancel()  # nothing waits in here
                found.append((await receive())["type"])
            if answer is not None:
                await answer(scope, receive, send)

    client_factory(app).post("/", content=b"body")
    assert found == ["http.disconnect"]
