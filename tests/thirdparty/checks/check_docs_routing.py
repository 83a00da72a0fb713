"""The page "Routing" of Starlette's documentation."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Host, Mount, NoMatchFound, Route, Router, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket


class DateConvertor(Convertor[date]):
    regex = "[0-9]{4}-[0-9]{2}-[0-9]{2}"

    def convert(self, value: str) -> date:
        return date.fromisoformat(value)

    def to_string(self, value: date) -> str:
        return value.isoformat()


register_url_convertor("date", DateConvertor())


async def show(request: Request) -> JSONResponse:
    params = {name: str(value) for name, value in request.path_params.items()}
    return JSONResponse({"params": params, "root_path": request.scope["root_path"]})


async def me(request: Request) -> PlainTextResponse:
    return PlainTextResponse("me")


class Opaque:
    """An ASGI application as an endpoint: all methods."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(scope["method"])(scope, receive, send)


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"n": websocket.path_params["n"], "host": websocket.url.hostname})
    await websocket.close()


class Mark:
    def __init__(self, app: Any, mark: str) -> None:
        self.app = app
        self.mark = mark

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-mark", self.mark.encode()))
            await send(message)

        await self.app(scope, receive, send_marked)


site = Router(routes=[Route("/", me, name="home"), Route("/{page}", show, name="page")])
app = Starlette(
    routes=[
        Host("api.example.org", app=site, name="api"),
        Host("{subdomain}.sub.example.org", app=site, name="sub"),
        Route("/users/me", me),
        Route("/users/{username}", show, name="user"),
        Route("/floors/{number:float}", show),
        Route("/ids/{id:uuid}", show),
        Route("/history/{date:date}", show, name="history"),
        Route("/opaque", Opaque()),
        Route("/marked", me, middleware=[Middleware(Mark, mark="route")]),
        WebSocketRoute("/ws/{n:int}", echo),
        Mount(
            "/{tenant}/shop",
            name="shop",
            routes=[
                Route("/", show, name="list"),
                Route("/{item:int}", show, methods=["GET", "PUT"], name="item"),
                Mount("/deep", routes=[Route("/{rest:path}", show, name="rest")]),
            ],
            middleware=[Middleware(Mark, mark="mount")],
        ),
        Mount("/static", app=Opaque(), name="static"),
    ]
)


@pytest.fixture
def client(backend: str) -> TestClient:
    return TestClient(app, backend=backend)


def test_the_first_route_that_matches_wins(client: TestClient) -> None:
    assert client.get("/users/me").text == "me"
    assert client.get("/users/ann").json()["params"] == {"username": "ann"}


def test_convertors(client: TestClient) -> None:
    for path, params in {
        "/floors/1.5": {"number": "1.5"},
        "/ids/123e4567-e89b-12d3-a456-426614174000": {"id": "123e4567-e89b-12d3-a456-426614174000"},
        "/history/2020-01-31": {"date": "2020-01-31"},
    }.items():
        assert client.get(path).json()["params"] == params
    assert client.get("/floors/x").status_code == 404
    assert client.get("/history/2020-1-31").status_code == 404


def test_methods(client: TestClient) -> None:
    assert client.put("/acme/shop/5").json()["params"] == {"tenant": "acme", "item": "5"}
    refused = client.delete("/acme/shop/5")
    assert refused.status_code == 405
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT"}
    assert client.delete("/opaque").text == "DELETE"


def test_mounts(client: TestClient) -> None:
    assert client.get("/acme/shop/").json() == {
        "params": {"tenant": "acme"},
        "root_path": "/acme/shop",
    }
    assert client.get("/acme/shop/deep/a/b").json() == {
        "params": {"tenant": "acme", "rest": "a/b"},
        "root_path": "/acme/shop/deep",
    }
    assert client.get("/acme/shop", follow_redirects=True).status_code == 200
    assert client.get("/static/js/app.js").text == "GET"


def test_middleware_of_routes_and_mounts(client: TestClient) -> None:
    assert client.get("/marked").headers["x-mark"] == "route"
    assert client.get("/acme/shop/5").headers["x-mark"] == "mount"
    assert "x-mark" not in client.get("/users/me").headers


def test_hosts(client: TestClient) -> None:
    assert client.get("/", headers={"host": "api.example.org"}).text == "me"
    response = client.get("/about", headers={"host": "ann.sub.example.org:8000"})
    assert response.json()["params"] == {"subdomain": "ann", "page": "about"}
    assert client.get("/about", headers={"host": "example.org"}).status_code == 404


def test_reversing() -> None:
    assert app.url_path_for("user", username="ann") == "/users/ann"
    assert app.url_path_for("history", date=date(2020, 1, 31)) == "/history/2020-01-31"
    assert app.url_path_for("shop:item", tenant="acme", item=5) == "/acme/shop/5"
    assert app.url_path_for("shop:rest", tenant="acme", rest="a/b") == "/acme/shop/deep/a/b"
    assert app.url_path_for("static", path="js/app.js") == "/static/js/app.js"
    url = app.url_path_for("sub:page", subdomain="ann", page="about")
    assert url.make_absolute_url("http://example.org") == "http://ann.sub.example.org/about"
    with pytest.raises(NoMatchFound):
        app.url_path_for("user", nickname="ann")


def test_a_websocket(client: TestClient) -> None:
    with client.websocket_connect("/ws/5") as session:
        assert session.receive_json() == {"n": 5, "host": "testserver"}


def test_a_router_is_an_application() -> None:
    client = TestClient(site)
    assert (client.get("/").text, client.get("/x").status_code) == ("me", 200)
    assert client.post("/").status_code == 405
