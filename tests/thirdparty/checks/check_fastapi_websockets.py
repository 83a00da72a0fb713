"""FastAPI: WebSockets of its tutorial."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import (
    APIRouter,
    Cookie,
    Depends,
    FastAPI,
    Query,
    WebSocket,
    WebSocketDisconnect,
    WebSocketException,
    status,
)
from fastapi.testclient import TestClient

NOTES: list[str] = []
app = FastAPI()
router = APIRouter(prefix="/rooms")


async def find_user(
    websocket: WebSocket,
    session: Annotated[str | None, Cookie()] = None,
    token: Annotated[str | None, Query()] = None,
) -> str:
    if session is None and token is None:
        raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION, reason="no user")
    return session or token or ""


@app.websocket("/echo/{name}")
async def echo(websocket: WebSocket, name: str, user: Annotated[str, Depends(find_user)]) -> None:
    await websocket.accept()
    try:
        while True:
            text = await websocket.receive_text()
            await websocket.send_json({"name": name, "user": user, "text": text})
    except WebSocketDisconnect as exc:
        NOTES.append(f"left with {exc.code}")


@router.websocket("/{number}")
async def room(websocket: WebSocket, number: int) -> None:
    await websocket.accept(subprotocol="v1")
    text = await websocket.receive_text()
    await websocket.send_bytes(f"{number} {text}".encode())
    await websocket.close(code=4000, reason="enough")


app.include_router(router)


@pytest.fixture
def client(backend: str) -> TestClient:
    NOTES.clear()
    return TestClient(app, backend=backend)


def test_texts_and_dependencies(client: TestClient) -> None:
    with client.websocket_connect("/echo/ann?token=t") as session:
        session.send_text("hello")
        assert session.receive_json() == {"name": "ann", "user": "t", "text": "hello"}
        session.close(code=1001)
    assert NOTES == ["left with 1001"]


def test_a_dependency_may_refuse(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as info, client.websocket_connect("/echo/ann"):
        pass
    assert (info.value.code, info.value.reason) == (1008, "no user")


def test_an_included_router(client: TestClient) -> None:
    with client.websocket_connect("/rooms/7", subprotocols=["v1"]) as session:
        assert session.accepted_subprotocol == "v1"
        session.send_text("a")
        assert session.receive_bytes() == b"7 a"
        with pytest.raises(WebSocketDisconnect) as info:
            session.receive_text()
    assert (info.value.code, info.value.reason) == (4000, "enough")


def test_an_invalid_parameter_closes(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect) as info, client.websocket_connect("/rooms/x"):
        pass
    assert info.value.code == 1008


def test_a_socket_that_is_not_routed(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/none"):
        pass
