"""Methods of a WebSocket that others have replaced are called, in its subclass or in the object."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock, MagicMock, patch

import pytest

from framework.types import Message
from framework.websockets import WebSocket, WebSocketDisconnect

pytestmark = pytest.mark.anyio

MESSAGES: list[Message] = [
    {"type": "websocket.connect"},
    {"type": "websocket.receive", "text": "a"},
    {"type": "websocket.receive", "text": "b"},
    {"type": "websocket.disconnect", "code": 1001},
]


class Upper(WebSocket[Any]):
    """Somebody's WebSocket."""

    async def receive_text(self) -> str:
        return (await super().receive_text()).upper()


class Tagged(WebSocket[Any]):
    """One that changes each message, in both directions."""

    async def receive(self) -> Message:
        message = await super().receive()
        return {**message, "text": f"<{message['text']}"} if "text" in message else message

    async def send(self, message: Message) -> None:
        await super().send(
            {**message, "text": f">{message['text']}"} if "text" in message else message
        )


async def open_websocket(cls: type[WebSocket[Any]]) -> tuple[WebSocket[Any], AsyncMock]:
    send = AsyncMock()
    websocket = cls({"type": "websocket"}, AsyncMock(side_effect=MESSAGES), send)
    await websocket.accept()
    return websocket, send


@pytest.mark.parametrize(
    ("cls", "expected"), [(WebSocket, ["a", "b"]), (Upper, ["A", "B"]), (Tagged, ["<a", "<b"])]
)
async def test_what_a_subclass_receives_is_iterated(
    cls: type[WebSocket[Any]], expected: list[str]
) -> None:
    websocket, _ = await open_websocket(cls)
    assert [text async for text in websocket.iter_text()] == expected


@pytest.mark.parametrize("cls", [WebSocket, Tagged])
async def test_any_message_is_iterated(cls: type[WebSocket[Any]]) -> None:
    websocket, _ = await open_websocket(cls)
    expected = ["a", "b"] if cls is WebSocket else ["<a", "<b"]
    assert [message async for message in websocket] == expected


async def test_what_the_send_of_a_subclass_makes_is_sent() -> None:
    websocket, send = await open_websocket(Tagged)
    await websocket.send_text("x")
    send.assert_awaited_with({"type": "websocket.send", "text": ">x"})


async def test_methods_of_the_object_are_called() -> None:
    websocket, _ = await open_websocket(WebSocket)
    with (
        patch.object(websocket, "receive", AsyncMock(side_effect=[MESSAGES[2], MESSAGES[3]])),
        patch.object(websocket, "send", AsyncMock()) as send,
    ):
        assert [text async for text in websocket.iter_text()] == ["b"]
        await websocket.send_bytes(b"x")
    send.assert_awaited_once_with({"type": "websocket.send", "bytes": b"x"})


async def test_methods_of_the_class_are_called() -> None:
    websocket, _ = await open_websocket(WebSocket)
    replaced = AsyncMock(side_effect=["c", WebSocketDisconnect(1000)])
    with patch.object(WebSocket, "receive_text", replaced):
        assert [text async for text in websocket.iter_text()] == ["c"]


async def test_a_mock_can_be_awaited_where_the_websocket_can() -> None:
    mock = MagicMock(spec=WebSocket)
    await mock.send_text("x")
    await mock.send_bytes(b"x")
    mock.send_text.assert_awaited_once_with("x")
    assert asyncio.iscoroutinefunction(WebSocket.send_text)


async def test_nothing_is_sent_before_it_is_awaited() -> None:
    websocket, send = await open_websocket(WebSocket)
    coroutine = websocket.send_text("x")
    assert send.await_count == 1  # accept
    await coroutine
    assert send.await_count == 2
