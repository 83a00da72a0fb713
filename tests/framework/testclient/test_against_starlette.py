"""The same app behind both clients: the same scope, the same response."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import starlette.testclient
from hypothesis import given, strategies as st

import framework.testclient
from framework.types import Receive, Scope, Send
from tests.framework.testclient.apps import body, describe, start

# Announced here and not there: what every server announces.
ADDED: dict[str, dict[str, Any]] = {
    "http": {"asgi": {"version": "3.0", "spec_version": "2.3"}},
    "websocket": {"asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1"},
}

Call = Callable[[Any], httpx2.Response]


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
    content: Any = response.content
    if content and response.headers.get("content-type") == "application/json":
        content = json.loads(content)
        for key in ADDED["http"]:
            content.pop(key, None)
    return {
        "status": response.status_code,
        "headers": response.headers.raw,
        "content": content,
        "history": [summarize(earlier) for earlier in response.history],
        "url": response.url,
        "http_version": response.http_version,
    }


def compare(call: Call, **options: Any) -> None:
    ours, theirs = Recorder(), Recorder()
    own_client = framework.testclient.TestClient(ours, **options)
    their_client = starlette.testclient.TestClient(theirs, **options)
    assert summarize(call(own_client)) == summarize(call(their_client))
    for scope in theirs.scopes:
        scope.update(ADDED[scope["type"]])
    assert ours.scopes == theirs.scopes
    assert dict(own_client.cookies) == dict(their_client.cookies)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.get("/"),
        lambda c: c.get("/a/b?c=d&e=%20f#fragment"),
        lambda c: c.get("/caf%C3%A9/☃", params={"q": "ü", "r": ["1", "2"]}),
        lambda c: c.get("https://example.org:8443/x"),
        lambda c: c.get("http://[::1]:81/x"),
        lambda c: c.get("relative"),
        lambda c: c.get("/", headers={"X-Name": "Ada", "Host": "other.example"}),
        lambda c: c.get("/", headers=[("x-a", "1"), ("X-A", "2")]),
        lambda c: c.get("/", auth=("user", "password")),
        lambda c: c.head("/"),
        lambda c: c.options("/"),
        lambda c: c.delete("/"),
        lambda c: c.post("/"),
        lambda c: c.post("/", content=b"bytes"),
        lambda c: c.post("/", content="text"),
        lambda c: c.post("/", content=iter([b"it", b"er"])),
        lambda c: c.post("/", json={"a": [1, None]}),
        lambda c: c.post("/", data={"a": "1", "b": ["2", "3"]}),
        lambda c: c.put(
            "/",
            data={"a": "1"},
            files={"f": ("f.txt", b"file", "text/plain")},
            headers={"content-type": "multipart/form-data; boundary=b"},
        ),
        lambda c: c.patch("/", json=1),
        lambda c: c.request("PURGE", "/"),
        lambda c: c.get("/redirect"),
        lambda c: c.post("/redirect", content=b"again"),
        lambda c: c.get("/redirect", follow_redirects=False),
        lambda c: (c.get("/cookie"), c.get("/"))[1],
        lambda c: c.get("/cookie"),
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
            "backend": "trio",
        },
    ],
    ids=["defaults", "options"],
)
def test_a_request(call: Call, options: dict[str, Any]) -> None:
    compare(call, **options)


def test_a_stream() -> None:
    def call(client: Any) -> httpx2.Response:
        response: httpx2.Response
        with client.stream("POST", "/cookie", content=b"x") as response:
            assert list(response.iter_raw()) == [b"part ", b"whole"]
        response._content = b""
        return response

    compare(call)


SEGMENT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="%/?#\\"), max_size=6
)


@given(
    st.lists(SEGMENT, max_size=4),
    st.dictionaries(SEGMENT, SEGMENT, max_size=3),
    st.binary(max_size=20),
)
def test_any_path_query_and_body(
    segments: list[str], params: dict[str, str], content: bytes
) -> None:
    path = "/" + "/".join(segments)
    compare(lambda client: client.post(path.replace("//", "/x/"), params=params, content=content))


@pytest.mark.parametrize("url", ["/", "/ws/caf%C3%A9?q=1", "relative", "wss://example.org/x"])
def test_a_websocket_scope(url: str) -> None:
    scopes = []
    for module in (framework.testclient, starlette.testclient):

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scopes.append(scope)
            await send({"type": "websocket.accept", "subprotocol": "b"})
            await receive()

        client: Any = module.TestClient(app, cookies={"c": "1"})
        connect = client.websocket_connect(
            url, subprotocols=["a", "b"], headers={"x-name": "Ada"}, params={"p": "1"}
        )
        with connect as session:
            assert session.accepted_subprotocol == "b"
    ours, theirs = scopes
    assert ours == {**theirs, **ADDED["websocket"]}
