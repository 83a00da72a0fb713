"""`WebSocket` through a test client: both sides of a conversation."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from framework.applications import App
from framework.exceptions import (
    UnexpectedFrame,
    WebSocketException,
    WebSocketJSONDecodeError,
)
from framework.middleware import Middleware
from framework.responses import JSONResponse, PlainTextResponse
from framework.routing import WebSocketRoute
from framework.testclient import WebSocketDenialResponse
from framework.types import Message, Receive, Scope, Send
from framework.websockets import (
    WebSocket,
    WebSocketClose,
    WebSocketDisconnect,
    WebSocketDisconnected,
    WebSocketState,
)
from tests.clients import ClientFactory
from tests.framework.asgi import build_scope

pytestmark = pytest.mark.anyio

Endpoint = Callable[[WebSocket[Any]], Awaitable[None]]


def serve(endpoint: Endpoint, **options: Any) -> App:
    """Return an application with one WebSocket at its root."""
    return App(routes=[WebSocketRoute("/", endpoint)], **options)


async def echo_text(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


async def echo_bytes(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    async for data in websocket.iter_bytes():
        await websocket.send_bytes(data)


async def echo_json(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    async for value in websocket.iter_json():
        await websocket.send_json(value)


async def echo_binary_json(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    await websocket.send_json(await websocket.receive_json(mode="binary"), mode="binary")


def test_text_goes_both_ways(client_factory: ClientFactory) -> None:
    with client_factory(serve(echo_text)).websocket_connect("/") as session:
        for text in ("a", "", "é😀"):
            session.send_text(text)
            assert session.receive_text() == text


def test_bytes_go_both_ways(client_factory: ClientFactory) -> None:
    with client_factory(serve(echo_bytes)).websocket_connect("/") as session:
        for data in (b"a", b"", b"\xff\x00"):
            session.send_bytes(data)
            assert session.receive_bytes() == data


def test_json_goes_both_ways(client_factory: ClientFactory) -> None:
    with client_factory(serve(echo_json)).websocket_connect("/") as session:
        session.send_json({"é": [1, 2.5, None, True]})
        assert session.receive_text() == '{"é":[1,2.5,null,true]}'
    with client_factory(serve(echo_binary_json)).websocket_connect("/") as session:
        session.send_json([1], mode="binary")
        assert session.receive_bytes() == b"[1]"


WRONG_FRAMES: dict[str, tuple[Endpoint, Message, int]] = {
    "bytes for text": (echo_text, {"bytes": b"a"}, 1003),
    "bytes for text, text null": (echo_text, {"bytes": b"a", "text": None}, 1003),
    "text for bytes": (echo_bytes, {"text": "a"}, 1003),
    "bytes for json": (echo_json, {"bytes": b"1"}, 1003),
    "text for binary json": (echo_binary_json, {"text": "1"}, 1003),
    "no json": (echo_json, {"text": "{"}, 1007),
    "nothing": (echo_json, {"text": ""}, 1007),
    "nan": (echo_json, {"text": "NaN"}, 1007),
    "too deep": (echo_json, {"text": "[" * 100_000}, 1007),
    "a lone surrogate": (echo_json, {"text": '"\ud800"'}, 1007),
    "an escaped lone surrogate": (echo_json, {"text": '"\\ud800"'}, 1007),
    "no utf-8": (echo_binary_json, {"bytes": b'"\xff"'}, 1007),
}


@pytest.mark.parametrize("case", WRONG_FRAMES)
def test_a_wrong_frame_closes_and_is_no_error_of_the_server(
    case: str, client_factory: ClientFactory
) -> None:
    endpoint, frame, code = WRONG_FRAMES[case]
    with client_factory(serve(endpoint)).websocket_connect("/") as session:
        session.send({"type": "websocket.receive", **frame})
        with pytest.raises(WebSocketDisconnect) as caught:
            session.receive_text()
    assert caught.value.code == code
    assert caught.value.reason


def test_a_wrong_frame_may_be_caught_as_starlette_s_errors(client_factory: ClientFactory) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        for expected in (KeyError, UnexpectedFrame, WebSocketException):
            with pytest.raises(expected):
                await websocket.receive_text()
        for also in (json.JSONDecodeError, ValueError, WebSocketJSONDecodeError):
            with pytest.raises(also) as caught:
                await websocket.receive_json()
            assert getattr(caught.value, "doc", None) == ""
        await websocket.send_text("still open")

    with client_factory(serve(endpoint)).websocket_connect("/") as session:
        for _ in range(3):
            session.send_bytes(b"a")
        for _ in range(3):
            session.send_text("{secret")
        assert session.receive_text() == "still open"


def test_the_handshake_is_answered_with_subprotocol_and_headers(
    client_factory: ClientFactory,
) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        states = [websocket.client_state]
        await websocket.accept(subprotocol="b", headers=[(b"x-name", b"Ada")])
        states += [websocket.client_state, websocket.application_state]
        await websocket.send_json([state.name for state in states])

    client = client_factory(serve(endpoint))
    with client.websocket_connect("/", subprotocols=["a", "b"]) as session:
        assert session.accepted_subprotocol == "b"
        assert session.extra_headers == [(b"x-name", b"Ada")]
        assert session.receive_json() == ["CONNECTING", "CONNECTED", "CONNECTED"]


def test_a_websocket_knows_its_request(client_factory: ClientFactory) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        await websocket.send_json(
            {
                "url": str(websocket.url),
                "query": dict(websocket.query_params),
                "cookies": websocket.cookies,
                "app": websocket.app is app,
            }
        )

    app = serve(endpoint)
    client = client_factory(app, cookies={"a": "1"})
    with client.websocket_connect("/?b=2") as session:
        assert session.receive_json() == {
            "url": "ws://testserver/?b=2",
            "query": {"b": "2"},
            "cookies": {"a": "1"},
            "app": True,
        }


def test_the_end_by_the_client_has_its_code_and_reason(client_factory: ClientFactory) -> None:
    seen: list[object] = []

    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        with pytest.raises(WebSocketDisconnect) as caught:
            await websocket.receive_text()
        seen.append((caught.value.code, caught.value.reason))
        seen.append(websocket.client_state)
        with pytest.raises(WebSocketDisconnected, match="after the client had disconnected"):
            await websocket.receive()

    with client_factory(serve(endpoint)).websocket_connect("/") as session:
        session.close(4000, "enough")
    assert seen == [(4000, "enough"), WebSocketState.DISCONNECTED]


def test_the_end_by_the_application_has_its_code_and_reason(client_factory: ClientFactory) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        await websocket.close(4001, "over")
        await websocket.close(4002)  # of no effect
        with pytest.raises(WebSocketDisconnected):
            await websocket.send_text("late")
        with pytest.raises(WebSocketDisconnected):
            await websocket.receive_text()
        with pytest.raises(RuntimeError):  # what it was before it had a class of its own
            await websocket.send_bytes(b"late")

    with (
        client_factory(serve(endpoint)).websocket_connect("/") as session,
        pytest.raises(WebSocketDisconnect) as caught,
    ):
        session.receive_text()
    assert (caught.value.code, caught.value.reason) == (4001, "over")


def test_a_handshake_may_be_refused(client_factory: ClientFactory) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.close(4003, "not you")

    for app in (serve(endpoint), WebSocketClose(4003, "not you")):
        with (
            pytest.raises(WebSocketDisconnect) as caught,
            client_factory(app).websocket_connect("/"),
        ):
            pass
        assert (caught.value.code, caught.value.reason) == (4003, "not you")


def test_a_handshake_may_be_answered_with_a_response(client_factory: ClientFactory) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        response = JSONResponse({"error": "payment"}, 402, {"x-a": "b"})
        await websocket.send_denial_response(response)
        assert websocket.application_state is WebSocketState.DISCONNECTED
        with pytest.raises(WebSocketDisconnected):
            await websocket.accept()

    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        client_factory(serve(endpoint)).websocket_connect("/"),
    ):
        pass
    assert caught.value.status_code == 402
    assert caught.value.json() == {"error": "payment"}
    assert caught.value.headers["x-a"] == "b"


class Wire:
    """A server that hands out messages and may lose its client."""

    def __init__(self, *messages: Message, is_broken: bool = False) -> None:
        self.messages = list(messages)
        self.is_broken = is_broken
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return self.messages.pop(0)

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if self.is_broken and message["type"] == "websocket.send":
            raise OSError("gone")

    def open(self, **scope: Any) -> WebSocket[Any]:
        built = {**build_scope(), "type": "websocket", **scope}
        return WebSocket(built, self.receive, self.send)


CONNECT: Message = {"type": "websocket.connect"}


async def test_a_broken_connection_is_a_disconnect() -> None:
    wire = Wire(CONNECT, is_broken=True)
    websocket = wire.open()
    await websocket.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        await websocket.send_text("a")
    assert caught.value.code == 1006
    with pytest.raises(WebSocketDisconnected):
        await websocket.send_text("b")


async def test_a_disconnect_without_code_or_reason_is_one() -> None:
    wire = Wire(CONNECT, {"type": "websocket.disconnect"})
    websocket = wire.open()
    await websocket.accept()
    with pytest.raises(WebSocketDisconnect) as caught:
        await websocket.receive_text()
    assert (caught.value.code, caught.value.reason) == (1005, "")


async def test_a_message_out_of_place_is_refused() -> None:
    frame = {"type": "websocket.receive", "text": "a"}
    with pytest.raises(RuntimeError, match=r"but got 'websocket\.receive'"):
        await Wire(frame).open().receive()
    websocket = Wire(CONNECT, CONNECT).open()
    await websocket.receive()
    with pytest.raises(RuntimeError, match=r"but got 'websocket\.connect'"):
        await websocket.receive()


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("nothing", "websocket.send"),
        ("nothing", "websocket.http.response.body"),
        ("accept", "websocket.accept"),
        ("accept", "websocket.http.response.start"),
        ("denial", "websocket.close"),
    ],
)
async def test_a_call_out_of_place_is_refused(before: str, kind: str) -> None:
    wire = Wire(CONNECT)
    websocket = wire.open()
    if before == "accept":
        await websocket.accept()
    if before == "denial":
        start = {"type": "websocket.http.response.start", "status": 400, "headers": []}
        await websocket.send(start)
    sent = len(wire.sent)
    with pytest.raises(RuntimeError, match=f"but got '{kind}'"):
        await websocket.send({"type": kind})
    assert len(wire.sent) == sent


async def test_what_cannot_be_done_says_what_can() -> None:
    with pytest.raises(ValueError, match="'http' is no WebSocket"):
        Wire().open(type="http")
    websocket = Wire(CONNECT).open()
    with pytest.raises(WebSocketDisconnected, match=r"call accept\(\)"):
        await websocket.receive_json()
    for call in (websocket.send_json(1, mode="x"), websocket.receive_json(mode="x")):
        with pytest.raises(RuntimeError, match="mode='x'"):
            await call
    with pytest.raises(RuntimeError, match=r"use close\(\)"):
        await websocket.send_denial_response(PlainTextResponse("no"))


class Refused(Exception):
    """An error of the application."""


class Around:
    """Middleware that changes nothing."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.mark.parametrize("middleware", [[], [Middleware(Around)]], ids=["bare", "stack"])
@pytest.mark.parametrize("accepts", [True, False])
def test_exceptions_of_an_endpoint_have_handlers(
    middleware: list[Middleware], accepts: bool, client_factory: ClientFactory
) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        if accepts:
            await websocket.accept()
        raise Refused if "refused" in websocket.query_params else WebSocketException(4000, "bad")

    async def on_refused(websocket: WebSocket[Any], exc: Exception) -> None:
        await websocket.close(4001, type(exc).__name__)

    app = serve(endpoint, middleware=middleware, exception_handlers={Refused: on_refused})
    for query, expected in (("", (4000, "bad")), ("?refused", (4001, "Refused"))):
        with (
            pytest.raises(WebSocketDisconnect) as caught,
            client_factory(app).websocket_connect("/" + query) as session,
        ):
            session.receive_text()
        assert (caught.value.code, caught.value.reason) == expected


@pytest.mark.parametrize("middleware", [[], [Middleware(Around)]], ids=["bare", "stack"])
def test_an_exception_without_a_handler_goes_to_the_server(
    middleware: list[Middleware], client_factory: ClientFactory
) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        raise Refused("nobody")

    with (
        pytest.raises(Refused, match="nobody"),
        client_factory(serve(endpoint, middleware=middleware)).websocket_connect("/") as session,
    ):
        session.receive_text()
