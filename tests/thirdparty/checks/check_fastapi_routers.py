"""FastAPI: what it builds on routes, mounts and limits of the library below."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi.sse import EventSourceResponse, ServerSentEvent
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket


class Line(BaseModel):
    n: int


class TimedRoute(APIRoute):
    def get_route_handler(self) -> Callable[[Request], Any]:
        handle = super().get_route_handler()

        async def handle_timed(request: Request) -> Response:
            before = time.perf_counter()
            response: Response = await handle(request)
            response.headers["X-Response-Time"] = str(time.perf_counter() - before)
            return response

        return handle_timed


class Collect:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            scope["app"].state.seen.append(getattr(scope.get("route"), "path", None))


async def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"plain {request.path_params}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("plain socket")
    await websocket.close()


def build_included() -> APIRouter:
    router = APIRouter(prefix="/in", route_class=TimedRoute)

    @router.get("/timed/{n}")
    def timed(n: int) -> int:
        return n

    deeper = APIRouter()

    @deeper.put("/deeper", name="deeper")
    async def put_deeper(request: Request) -> str:
        return str(request.url_for("deeper"))

    router.include_router(deeper, prefix="/and")
    router.routes.append(Route("/plain/{x}", plain))
    router.routes.append(WebSocketRoute("/socket", socket))
    router.routes.append(Mount("/mount", routes=[Route("/plain", plain)]))
    router.routes.append(Host("api.example.org", app=PlainTextResponse("host")))
    return router


def add_streams(app: FastAPI) -> None:
    @app.get("/lines")
    async def lines() -> AsyncIterator[Line]:
        for n in range(3):
            yield Line(n=n)

    @app.get("/events", response_class=EventSourceResponse)
    def events() -> Iterator[ServerSentEvent]:
        yield ServerSentEvent(data={"n": 1}, event="count", id="1")


def build_app() -> FastAPI:
    app = FastAPI(max_body_size=10, middleware=[Middleware(Collect)], dependencies=[Depends(note)])
    app.state.seen = []
    app.include_router(build_included(), prefix="/v1")
    add_streams(app)

    @app.post("/length")
    async def length(request: Request) -> int:
        return len(await request.body())

    @app.post("/json")
    async def read_json(data: dict[str, Any]) -> dict[str, Any]:
        return data

    return app


def note(request: Request) -> None:
    request.state.noted = True


@pytest.fixture
def client(backend: str) -> TestClient:
    return TestClient(build_app(), backend=backend)


def test_routes_of_an_included_router(client: TestClient) -> None:
    timed = client.get("/v1/in/timed/5")
    assert timed.json() == 5
    assert float(timed.headers["x-response-time"]) > 0
    assert client.put("/v1/in/and/deeper").json() == "http://testserver/v1/in/and/deeper"
    assert client.get("/v1/plain/1").text == "plain {'x': '1'}"
    assert client.get("/v1/mount/plain").text == "plain {}"
    assert client.get("/v1/in/none").status_code == 404
    assert client.get("/v1/x", headers={"host": "api.example.org"}).text == "host"


def test_refusals_in_an_included_router(client: TestClient) -> None:
    assert client.post("/v1/in/timed/5").status_code == 405
    assert client.get("/v1/in/timed/5/", follow_redirects=False).status_code == 307


def test_a_plain_websocket_of_an_included_router(client: TestClient) -> None:
    with client.websocket_connect("/v1/socket") as session:
        assert session.receive_text() == "plain socket"


def test_the_scope_names_the_route(client: TestClient) -> None:
    client.get("/v1/in/timed/5")
    client.get("/lines")
    app: Any = client.app
    assert app.state.seen == ["/in/timed/{n}", "/lines"]


def test_streams(client: TestClient) -> None:
    lines = client.get("/lines")
    assert lines.headers["content-type"] == "application/jsonl"
    assert lines.text == '{"n":0}\n{"n":1}\n{"n":2}\n'
    events = client.get("/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert "event: count\n" in events.text
    assert 'data: {"n": 1}\n' in events.text


@pytest.mark.parametrize("path", ["/length", "/json"])
@pytest.mark.parametrize("is_declared", [True, False], ids=["declared", "chunked"])
def test_a_body_over_the_limit(client: TestClient, path: str, is_declared: bool) -> None:
    body = b'{"a": "0123456789"}'
    content = body if is_declared else iter([body[:8], body[8:]])
    headers = {"content-type": "application/json"}
    response = client.post(path, content=content, headers=headers)
    assert response.status_code == 413
    assert client.post("/length", content=b"0123456789").json() == 10


def test_a_mounted_fastapi_shares_the_limit(backend: str) -> None:
    outer = FastAPI(max_body_size=100)
    outer.mount("/inner", build_app())
    client = TestClient(outer, backend=backend)
    assert client.post("/inner/length", content=b"x" * 11).status_code == 413
    assert client.post("/inner/length", content=b"x" * 10).json() == 10
