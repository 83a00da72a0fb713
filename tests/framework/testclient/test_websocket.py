"""WebSocket sessions: the client's side of a WebSocket."""

from __future__ import annotations

import time
from typing import Any

import anyio
import httpx2
import pytest

from framework.exceptions import WebSocketDisconnect
from framework.testclient import TestClient, WebSocketDenialResponse
from framework.types import Message, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.testclient.apps import Lifespan, hello, sends

ACCEPT: Message = {"type": "websocket.accept"}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def test_text_bytes_and_json_go_both_ways(client_factory: ClientFactory) -> None:
    with client_factory(echo).websocket_connect("/") as session:
        session.send_text("text")
        assert session.receive_text() == "text"
        session.send_bytes(b"bytes")
        assert session.receive_bytes() == b"bytes"
        session.send_json({"é": 1})
        assert session.receive_text() == '{"é":1}'
        session.send_json([1], mode="binary")
        assert session.receive_json(mode="binary") == [1]
        session.send_json([2])
        assert session.receive_json() == [2]
        session.send({"type": "websocket.receive", "text": "raw"})
        assert session.receive() == {"type": "websocket.send", "text": "raw"}


def test_the_scope_is_that_of_a_server() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await echo(scope, receive, send)

    client = TestClient(app, root_path="/api")
    headers = {"X-Name": "Ada"}
    with client.websocket_connect("/w%20s?q=1", subprotocols=["a", "b"], headers=headers):
        pass
    fields = dict(scopes[0].pop("headers"))
    assert scopes == [
        {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": "/w s",
            "raw_path": b"/w%20s",
            "root_path": "/api",
            "query_string": b"q=1",
            "client": ("testclient", 50000),
            "server": ["testserver", 80],
            "subprotocols": ["a", "b"],
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }
    ]
    assert fields[b"connection"] == b"upgrade"
    assert fields[b"sec-websocket-key"] == b"testserver=="
    assert fields[b"sec-websocket-version"] == b"13"
    assert fields[b"sec-websocket-protocol"] == b"a, b"
    assert fields[b"x-name"] == b"Ada"
    assert headers == {"X-Name": "Ada"}


@pytest.mark.parametrize(
    ("base_url", "url", "scheme", "server"),
    [
        ("http://testserver", "/", "ws", ["testserver", 80]),
        ("https://example.org", "/", "wss", ["example.org", 443]),
        ("http://[::1]:8000", "/", "ws", ["::1", 8000]),
        ("http://testserver", "wss://example.org/", "wss", ["example.org", 443]),
    ],
)
def test_the_address_follows_the_base_url(
    base_url: str, url: str, scheme: str, server: list[Any]
) -> None:
    with TestClient(echo, base_url).websocket_connect(url) as session:
        assert session.scope["scheme"] == scheme
        assert session.scope["server"] == server


def test_an_address_that_is_no_websocket_is_refused() -> None:
    with pytest.raises(httpx2.UnsupportedProtocol, match="The scheme 'ftp' is unknown"):
        TestClient(echo).websocket_connect("ftp://testserver/")


def test_an_event_hook_that_breaks_the_upgrade_is_named() -> None:
    def rewrite(request: httpx2.Request) -> None:
        request.url = request.url.copy_with(scheme="http")

    client = TestClient(hello)
    client.event_hooks = {"request": [rewrite]}
    with pytest.raises(RuntimeError, match=r"event hook made an HTTP request of .* '/ws'"):
        client.websocket_connect("/ws")


def test_the_handshake_of_the_app_is_on_the_session() -> None:
    app = sends({**ACCEPT, "subprotocol": "b", "headers": [(b"x-name", b"Ada")]})
    with TestClient(app).websocket_connect("/", subprotocols=["a", "b"]) as session:
        assert session.accepted_subprotocol == "b"
        assert session.extra_headers == [(b"x-name", b"Ada")]


def test_cookies_of_the_client_are_sent() -> None:
    client = TestClient(echo, cookies={"session": "1"})
    with client.websocket_connect("/") as session:
        assert (b"cookie", b"session=1") in session.scope["headers"]


def test_requests_websockets_and_the_lifespan_share_the_loop(client_factory: ClientFactory) -> None:
    loops = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(anyio.lowlevel.current_token())
        await (echo if scope["type"] == "websocket" else Lifespan())(scope, receive, send)

    with client_factory(app) as client:
        client.get("/")
        with client.websocket_connect("/") as one, client.websocket_connect("/") as two:
            one.send_text("1")
            two.send_text("2")
            assert (one.receive_text(), two.receive_text()) == ("1", "2")
    assert len(loops) == 4
    assert len(set(loops)) == 1


def test_the_state_of_the_lifespan_is_in_the_scope(client_factory: ClientFactory) -> None:
    with (
        client_factory(Lifespan(echo, {"pool": 1})) as client,
        client.websocket_connect("/") as session,
    ):
        assert session.scope["state"] == {"pool": 1}
        assert session.scope["state"] is not client.app_state


@pytest.mark.parametrize("receive", ["receive_text", "receive_bytes", "receive_json"])
def test_a_close_of_the_app_is_raised(receive: str) -> None:
    app = sends(ACCEPT, {"type": "websocket.close", "code": 4001, "reason": "over"})
    with (
        pytest.raises(WebSocketDisconnect) as caught,
        TestClient(app).websocket_connect("/") as session,
    ):
        getattr(session, receive)()
    assert (caught.value.code, caught.value.reason) == (4001, "over")


def test_a_refused_handshake_is_raised(client_factory: ClientFactory) -> None:
    client = client_factory(sends({"type": "websocket.close"}))
    with pytest.raises(WebSocketDisconnect) as caught, client.websocket_connect("/"):
        pytest.fail("entered")
    assert (caught.value.code, caught.value.reason) == (1000, "")


def test_a_denial_response_is_raised(client_factory: ClientFactory) -> None:
    kind = "websocket.http.response"
    client = client_factory(
        sends(
            {"type": f"{kind}.start", "status": 403, "headers": [(b"x-why", b"no")]},
            {"type": f"{kind}.body", "body": b"go ", "more_body": True},
            {"type": f"{kind}.body", "body": b"away"},
        )
    )
    with pytest.raises(WebSocketDenialResponse) as caught, client.websocket_connect("/"):
        pytest.fail("entered")
    denial = caught.value
    assert (denial.status_code, denial.text, denial.headers["x-why"]) == (403, "go away", "no")
    assert isinstance(denial, WebSocketDisconnect)
    assert (denial.code, denial.reason) == (1006, "")


def test_a_denial_response_may_be_empty() -> None:
    kind = "websocket.http.response"
    app = sends({"type": f"{kind}.start", "status": 404}, {"type": f"{kind}.body"})
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        TestClient(app).websocket_connect("/"),
    ):
        pytest.fail("entered")
    assert (caught.value.status_code, caught.value.content) == (404, b"")


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([], "without accepting or closing"),
        ([{"type": "websocket.send", "text": ""}], "'websocket.send' before 'websocket.accept'"),
        (
            [{"type": "websocket.http.response.start", "status": 403}, ACCEPT],
            "'websocket.accept' in a denial response",
        ),
    ],
)
def test_a_wrong_handshake_fails_the_test(messages: list[Message], complaint: str) -> None:
    client = TestClient(sends(*messages))
    with pytest.raises(AssertionError, match=complaint), client.websocket_connect("/"):
        pytest.fail("entered")


def test_an_app_that_returns_without_closing_breaks_the_connection(
    client_factory: ClientFactory,
) -> None:
    client = client_factory(sends(ACCEPT, {"type": "websocket.send", "text": "last"}))
    with client.websocket_connect("/") as session:
        assert session.receive_text() == "last"
        with pytest.raises(WebSocketDisconnect, match="without closing") as caught:
            session.receive_text()
    assert caught.value.code == 1006


class Failure(Exception):
    pass


@pytest.mark.parametrize("accepts", [True, False])
def test_the_exception_of_the_app_is_raised(accepts: bool, client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if accepts:
            await send(ACCEPT)
        raise Failure

    client = client_factory(app)
    with pytest.raises(Failure), client.websocket_connect("/") as session:
        session.receive_text()
    with pytest.raises(Failure), client.websocket_connect("/"):
        pass


def test_an_exception_that_was_raised_by_receive_is_not_raised_again() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        raise Failure

    with TestClient(app).websocket_connect("/") as session, pytest.raises(Failure):
        session.receive_text()


def test_leaving_the_session_disconnects(client_factory: ClientFactory) -> None:
    messages = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        messages.append(await receive())
        await send(ACCEPT)
        messages.append(await receive())
        await anyio.sleep(0.01)
        messages.append({"type": "cleaned up"})

    with client_factory(app).websocket_connect("/"):
        pass
    assert messages == [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1000, "reason": None},
        {"type": "cleaned up"},
    ]


def test_the_disconnect_can_have_a_code_and_comes_once(client_factory: ClientFactory) -> None:
    messages = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(ACCEPT)
        messages.append(await receive())
        with anyio.move_on_after(0.05):
            messages.append(await receive())

    with client_factory(app).websocket_connect("/") as session:
        session.close(4000, "enough")
    assert messages == [{"type": "websocket.disconnect", "code": 4000, "reason": "enough"}]


def test_an_app_that_closed_may_finish(client_factory: ClientFactory) -> None:
    done = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.close"})
        await anyio.sleep(0.01)
        done.append(True)

    with client_factory(app).websocket_connect("/"):
        pass
    assert done == [True]


def test_an_app_that_does_not_listen_is_cancelled_at_once(client_factory: ClientFactory) -> None:
    ends = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("cancelled")

    client = client_factory(app)
    began = time.monotonic()
    with client.websocket_connect("/"):
        pass
    assert ends == ["cancelled"]
    assert time.monotonic() - began < 0.9


def test_an_app_that_does_not_end_is_cancelled_in_the_end(
    client_factory: ClientFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("framework.testclient._websocket.CLOSE_GRACE_SECONDS", 0.05)
    ends = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        try:
            while True:
                ends.append((await receive())["type"])
        finally:
            ends.append("cancelled")

    with client_factory(app).websocket_connect("/"):
        pass
    assert ends == ["websocket.connect", "websocket.disconnect", "cancelled"]


def test_the_exception_of_the_test_wins_nothing_is_left(client_factory: ClientFactory) -> None:
    with pytest.raises(Failure), client_factory(echo).websocket_connect("/"):
        raise Failure
