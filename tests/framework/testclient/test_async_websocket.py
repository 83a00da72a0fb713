"""`AsyncTestClient.websocket_connect`: the client's side of a WebSocket, in the loop of the test."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest

from framework.exceptions import WebSocketDisconnect
from framework.testclient import (
    AsyncTestClient,
    AsyncWebSocketTestSession,
    TestClient,
    WebSocketDenialResponse,
    WebSocketTestSession,
)
from framework.types import Message, Receive, Scope, Send
from tests.framework.testclient.apps import Lifespan, hello, sends

pytestmark = pytest.mark.anyio

ACCEPT: Message = {"type": "websocket.accept"}


class Failure(Exception):
    pass


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


async def test_text_bytes_and_json_go_both_ways() -> None:
    async with AsyncTestClient(echo).websocket_connect("/") as session:
        await session.send_text("text")
        assert await session.receive_text() == "text"
        await session.send_bytes(b"bytes")
        assert await session.receive_bytes() == b"bytes"
        await session.send_json({"é": 1})
        assert await session.receive_text() == '{"é":1}'
        await session.send_json([1], mode="binary")
        assert await session.receive_json(mode="binary") == [1]
        await session.send_json([2])
        assert await session.receive_json() == [2]
        await session.send({"type": "websocket.receive", "text": "raw"})
        assert await session.receive() == {"type": "websocket.send", "text": "raw"}


def test_both_sessions_have_the_same_methods() -> None:
    def public(session: type) -> set[str]:
        return {name for name in dir(session) if not name.startswith("_")}

    assert public(AsyncWebSocketTestSession) == public(WebSocketTestSession)


async def test_both_clients_open_with_the_same_scope() -> None:
    options: dict[str, Any] = {
        "subprotocols": ["a", "b"],
        "headers": {"X-Name": "Ada"},
        "params": {"q": "1"},
    }
    scopes: list[Scope] = []
    app = sends({**ACCEPT, "subprotocol": "b", "headers": [(b"x-name", b"Ada")]})
    client = AsyncTestClient(app, "https://example.org", root_path="/api", cookies={"c": "1"})
    async with client.websocket_connect("/w%20s", **options) as session:
        assert session.accepted_subprotocol == "b"
        assert session.extra_headers == [(b"x-name", b"Ada")]
        scopes.append(session.scope)

    def connect() -> None:
        other = TestClient(app, "https://example.org", root_path="/api", cookies={"c": "1"})
        with other, other.websocket_connect("/w%20s", **options) as session:
            scopes.append(session.scope)

    app = Lifespan(app)
    await anyio.to_thread.run_sync(connect)
    assert scopes[0] == scopes[1]
    assert options["headers"] == {"X-Name": "Ada"}


async def test_an_address_that_is_no_websocket_is_refused() -> None:
    with pytest.raises(httpx2.UnsupportedProtocol, match="The scheme 'ftp' is unknown"):
        async with AsyncTestClient(echo).websocket_connect("ftp://testserver/"):
            pytest.fail("entered")


async def test_an_event_hook_that_breaks_the_upgrade_is_named() -> None:
    async def rewrite(request: httpx2.Request) -> None:
        request.url = request.url.copy_with(scheme="http")

    client = AsyncTestClient(hello)
    client.event_hooks = {"request": [rewrite]}
    with pytest.raises(RuntimeError, match=r"event hook made an HTTP request of .* '/ws'"):
        async with client.websocket_connect("/ws"):
            pytest.fail("entered")


async def test_requests_websockets_the_lifespan_and_the_test_share_the_loop() -> None:
    loops = [anyio.lowlevel.current_token()]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(anyio.lowlevel.current_token())
        await (echo if scope["type"] == "websocket" else Lifespan())(scope, receive, send)

    async with AsyncTestClient(app) as client:
        await client.get("/")
        async with client.websocket_connect("/") as one, client.websocket_connect("/") as two:
            await one.send_text("1")
            await two.send_text("2")
            assert (await one.receive_text(), await two.receive_text()) == ("1", "2")
    assert len(loops) == 5
    assert len(set(loops)) == 1


@pytest.mark.parametrize("receive", ["receive_text", "receive_bytes", "receive_json"])
async def test_a_close_of_the_app_is_raised(receive: str) -> None:
    app = sends(ACCEPT, {"type": "websocket.close", "code": 4001, "reason": "over"})
    async with AsyncTestClient(app).websocket_connect("/") as session:
        with pytest.raises(WebSocketDisconnect) as caught:
            await getattr(session, receive)()
    assert (caught.value.code, caught.value.reason) == (4001, "over")


async def test_a_refused_handshake_and_a_denial_response_are_raised() -> None:
    with pytest.raises(WebSocketDisconnect) as refused:
        async with AsyncTestClient(sends({"type": "websocket.close"})).websocket_connect("/"):
            pytest.fail("entered")
    assert refused.value.code == 1000
    kind = "websocket.http.response"
    app = sends(
        {"type": f"{kind}.start", "status": 403, "headers": [(b"x-why", b"no")]},
        {"type": f"{kind}.body", "body": b"go ", "more_body": True},
        {"type": f"{kind}.body", "body": b"away"},
    )
    with pytest.raises(WebSocketDenialResponse) as denied:
        async with AsyncTestClient(app).websocket_connect("/"):
            pytest.fail("entered")
    assert (denied.value.status_code, denied.value.text) == (403, "go away")


async def test_an_app_that_returns_without_an_answer_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="without accepting or closing"):
        async with AsyncTestClient(sends()).websocket_connect("/"):
            pytest.fail("entered")
    with pytest.raises(WebSocketDisconnect, match="without closing"):
        async with AsyncTestClient(sends(ACCEPT)).websocket_connect("/") as session:
            await session.receive_text()


@pytest.mark.parametrize("accepts", [True, False])
async def test_the_exception_of_the_app_is_raised_once(accepts: bool) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if accepts:
            await send(ACCEPT)
        raise Failure

    client = AsyncTestClient(app)
    with pytest.raises(Failure):
        async with client.websocket_connect("/") as session:
            await session.receive_text()
    with pytest.raises(Failure):
        async with client.websocket_connect("/"):
            pass


async def test_an_exception_that_was_raised_by_receive_is_not_raised_again() -> None:
    cause = LookupError("cause")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        raise Failure from cause

    async with AsyncTestClient(app).websocket_connect("/") as session:
        with pytest.raises(Failure) as caught:
            await session.receive_text()
    assert caught.value.__cause__ is cause


async def test_leaving_the_session_disconnects_once() -> None:
    messages = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        messages.append(await receive())
        await send(ACCEPT)
        messages.append(await receive())
        await anyio.sleep(0.01)
        messages.append({"type": "cleaned up"})

    async with AsyncTestClient(app).websocket_connect("/") as session:
        await session.close(4000, "enough")
    assert messages == [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 4000, "reason": "enough"},
        {"type": "cleaned up"},
    ]
    messages.clear()
    async with AsyncTestClient(app).websocket_connect("/"):
        pass
    assert messages[1] == {"type": "websocket.disconnect", "code": 1000, "reason": None}


async def test_an_app_that_does_not_listen_is_cancelled() -> None:
    ends = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(ACCEPT)
        try:
            await anyio.sleep_forever()
        finally:
            ends.append("cancelled")

    with anyio.fail_after(0.9):
        async with AsyncTestClient(app).websocket_connect("/"):
            pass
    assert ends == ["cancelled"]


async def test_a_cancelled_test_leaves_no_app_behind() -> None:
    ends: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["path"] == "/accepted":
                await send(ACCEPT)
            else:
                test.cancel()
            await anyio.sleep_forever()
        finally:
            ends.append(scope["path"])

    client = AsyncTestClient(app)
    for path in ("/accepted", "/silent"):
        with anyio.CancelScope() as test:
            async with client.websocket_connect(path) as session:
                test.cancel()
                await session.receive()
    assert ends == ["/accepted", "/silent"]
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with client.websocket_connect("/never"):
            pytest.fail("entered")


async def test_the_exception_of_the_test_wins() -> None:
    with pytest.raises(Failure):
        async with AsyncTestClient(echo).websocket_connect("/"):
            raise Failure
