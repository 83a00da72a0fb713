"""The pages "Test Client" and "WebSockets" of Starlette's documentation."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState


async def show(request: Request) -> JSONResponse:
    client = request.client
    return JSONResponse(
        {
            "headers": [request.headers.get("x-own"), request.headers["user-agent"]],
            "client": list(client) if client else None,
            "root_path": request.scope["root_path"],
            "url": str(request.url),
            "cookies": request.cookies,
        }
    )


async def move(request: Request) -> RedirectResponse:
    response = RedirectResponse("/show")
    response.set_cookie("moved", "yes")
    return response


async def homepage(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await HTMLResponse("<b>Hello</b>")(scope, receive, send)


async def echo(websocket: WebSocket) -> None:
    await websocket.accept(subprotocol="v2", headers=[(b"x-accepted", b"1")])
    assert websocket.client_state is WebSocketState.CONNECTED
    async with aclosing(websocket.iter_json()) as messages:
        async for message in messages:
            await websocket.send_json(message, mode="binary" if message == "binary" else "text")
            if message == "enough":
                await websocket.close(4001, "said so")
                break


async def echo_bytes(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        await websocket.send_bytes((await websocket.receive_bytes())[::-1])
        await websocket.receive_text()
    except WebSocketDisconnect as exc:
        websocket.app.state.left = exc.code


async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(PlainTextResponse("no entry", status_code=403))


async def raises(websocket: WebSocket) -> None:
    await websocket.accept()
    raise ValueError("in the socket")


app = Starlette(
    routes=[
        Route("/show", show),
        Route("/move", move),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/bytes", echo_bytes),
        WebSocketRoute("/deny", deny),
        WebSocketRoute("/raises", raises),
    ]
)


@pytest.fixture
def client(backend: str) -> TestClient:
    return TestClient(app, backend=backend, headers={"X-Own": "1"})


def test_a_bare_application(backend: str) -> None:
    response = TestClient(homepage, backend=backend).get("/")
    assert (response.status_code, response.text) == (200, "<b>Hello</b>")


def test_the_client_is_an_http_client(client: TestClient) -> None:
    assert isinstance(client, httpx2.Client)
    shown = client.get("/show", headers={"user-agent": "own"}).json()
    assert shown["headers"] == ["1", "own"]
    assert shown["client"] == ["testclient", 50000]
    assert client.get("/show").json()["headers"][1] == "testclient"


def test_redirects_and_cookies(client: TestClient) -> None:
    response = client.get("/move")
    assert response.json()["cookies"] == {"moved": "yes"}
    assert [step.status_code for step in response.history] == [307]
    assert client.get("/move", follow_redirects=False).status_code == 307


def test_options(backend: str) -> None:
    options: dict[str, Any] = {"base_url": "https://example.org:8443", "root_path": "/r"}
    client = TestClient(app, backend=backend, client=("192.0.2.7", 7), **options)
    shown = client.get("/r/show").json()
    assert shown["client"] == ["192.0.2.7", 7]
    assert (shown["root_path"], shown["url"]) == ("/r", "https://example.org:8443/r/show")


def test_websocket_messages(client: TestClient) -> None:
    with client.websocket_connect("/echo", subprotocols=["v1", "v2"]) as session:
        assert session.accepted_subprotocol == "v2"
        assert (b"x-accepted", b"1") in session.extra_headers
        for message in ({"a": [1]}, "text"):
            session.send_json(message)
            assert session.receive_json() == message
        session.send_json("binary")
        assert session.receive_json(mode="binary") == "binary"
        session.send_json("enough")
        assert session.receive_json() == "enough"
        assert session.receive() == {"type": "websocket.close", "code": 4001, "reason": "said so"}


def test_bytes_and_closing(client: TestClient) -> None:
    with client.websocket_connect("/bytes") as session:
        session.send_bytes(b"abc")
        assert session.receive_bytes() == b"cba"
        session.close(3000)
    assert app.state.left == 3000


def test_a_denied_websocket(client: TestClient) -> None:
    with pytest.raises(WebSocketDenialResponse) as info, client.websocket_connect("/deny"):
        pass
    assert (info.value.status_code, info.value.text) == (403, "no entry")


def test_an_exception_in_a_websocket(client: TestClient) -> None:
    with (
        pytest.raises(ValueError, match="in the socket"),
        client.websocket_connect("/raises") as session,
    ):
        session.receive_text()


def test_an_unknown_path_refuses_the_websocket(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/none"):
        pass
