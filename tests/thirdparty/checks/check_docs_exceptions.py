"""The page "Exceptions" of Starlette's documentation."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException, WebSocketException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect


class Own(Exception):
    pass


class Special(Own):
    pass


async def not_found(request: Request, exc: HTTPException) -> Response:
    return HTMLResponse(f"nothing at {request.url.path}: {exc.detail}", status_code=404)


def server_error(request: Request, exc: Exception) -> Response:
    return JSONResponse({"error": str(exc)}, status_code=500)


def http_exception(request: Request, exc: HTTPException) -> Response:
    return JSONResponse({"detail": exc.detail}, status_code=exc.status_code, headers=exc.headers)


async def own(request: Request, exc: Own) -> Response:
    return PlainTextResponse(f"{type(exc).__name__} handled", status_code=418)


def fail(request: Request) -> Response:
    kind: str = request.path_params["kind"]
    raise {
        "http": HTTPException(409, detail="in use", headers={"X-Reason": "lock"}),
        "plain": HTTPException(status_code=402),
        "own": Special(),
        "other": ValueError("unforeseen"),
    }[kind]


async def refuse(websocket: WebSocket) -> None:
    raise WebSocketException(code=1008, reason="not you")


async def deny(websocket: WebSocket) -> None:
    raise HTTPException(403, "no entry")


ROUTES = [
    Route("/fail/{kind}", fail),
    WebSocketRoute("/refuse", refuse),
    WebSocketRoute("/deny", deny),
    Mount("/m", routes=[Route("/fail/{kind}", fail)]),
]
HANDLERS: dict[Any, Any] = {
    404: not_found,
    500: server_error,
    HTTPException: http_exception,
    Own: own,
}


def build_client(backend: str, handlers: dict[Any, Any] | None = None) -> TestClient:
    app = Starlette(routes=ROUTES, exception_handlers=handlers)
    return TestClient(app, backend=backend, raise_server_exceptions=False)


@pytest.mark.parametrize("prefix", ["", "/m"])
def test_handlers(backend: str, prefix: str) -> None:
    client = build_client(backend, HANDLERS)
    response = client.get(f"{prefix}/fail/http")
    assert (response.status_code, response.json()) == (409, {"detail": "in use"})
    assert response.headers["x-reason"] == "lock"
    assert client.get(f"{prefix}/fail/own").text == "Special handled"
    assert client.get(f"{prefix}/fail/other").json() == {"error": "unforeseen"}
    assert client.get(f"{prefix}/none").text == f"nothing at {prefix}/none: Not Found"
    assert client.post(f"{prefix}/fail/http").json() == {"detail": "Method Not Allowed"}


def test_without_handlers(backend: str) -> None:
    client = build_client(backend)
    assert client.get("/fail/http").text == "in use"
    assert client.get("/fail/plain").text == "Payment Required"
    assert client.get("/fail/other").text == "Internal Server Error"
    assert client.get("/fail/own").status_code == 500


def test_the_client_raises_what_nobody_handles(backend: str) -> None:
    client = TestClient(Starlette(routes=ROUTES, exception_handlers=HANDLERS), backend=backend)
    with pytest.raises(ValueError, match="unforeseen"):
        client.get("/fail/other")
    assert client.get("/fail/own").status_code == 418


def test_a_websocket_is_closed_with_the_code(backend: str) -> None:
    client = build_client(backend)
    with pytest.raises(WebSocketDisconnect) as info, client.websocket_connect("/refuse"):
        pass
    assert (info.value.code, info.value.reason) == (1008, "not you")


def test_a_handler_added_later(backend: str) -> None:
    app = Starlette(routes=ROUTES)
    app.add_exception_handler(Own, own)
    app.add_exception_handler(404, not_found)
    client = TestClient(app, backend=backend)
    assert client.get("/fail/own").status_code == 418
    assert client.get("/x").text == "nothing at /x: Not Found"


def test_the_fields_of_the_exceptions() -> None:
    exc = HTTPException(status_code=404, headers={"a": "b"})
    assert (exc.status_code, exc.detail, exc.headers) == (404, "Not Found", {"a": "b"})
    assert str(exc) == "404: Not Found"
    assert repr(WebSocketException(1001)) == "WebSocketException(code=1001, reason='')"
