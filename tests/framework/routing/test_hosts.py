"""Hosts: an application of its own for each."""

from __future__ import annotations

from typing import Any

import pytest

from framework.applications import App
from framework.exceptions import NoMatchFound
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Host, Mount, Route, Router, WebSocketRoute
from framework.websockets import WebSocket, WebSocketDisconnect
from tests.clients import ClientFactory
from tests.framework.asgi import build_scope, call
from tests.framework.routing.endpoints import answer

pytestmark = pytest.mark.anyio


def build_app() -> App:
    return App(
        routes=[
            Route("/everywhere", answer("everywhere")),
            Host("api.example.org", app=Router([Route("/", answer("api"), name="index")])),
            Host("{tenant}.example.org", app=Router([Route("/{id:int}", answer("tenant"))])),
            Host("{n:int}.example.net:8000", app=App(routes=[Route("/", answer("number"))])),
            Host("[::1]", app=Router([Route("/", answer("six"))])),
            Route("/", answer("any")),
            Route("/{id:int}", answer("any")),
        ]
    )


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("api.example.org", "/", "api {}"),
        ("API.Example.ORG:443", "/", "api {}"),
        ("acme.example.org", "/7", "tenant {'tenant': 'acme', 'id': 7}"),
        ("a.b.example.org", "/7", "tenant {'tenant': 'a.b', 'id': 7}"),
        ("acme.example.org", "/", "Not Found"),
        ("acme.example.org", "/everywhere", "everywhere {}"),
        ("12.example.net", "/", "number {'n': 12}"),
        ("x.example.net", "/", "any {}"),
        ("1" * 19 + ".example.net", "/", "any {}"),
        ("[::1]:8000", "/", "six {}"),
        ("[::1", "/", "any {}"),
        ("example.org", "/7", "any {'id': 7}"),
        ("apixexample.org", "/", "any {}"),
        ("api.example.org.evil.example", "/", "any {}"),
        ("api.example.org/", "/", "any {}"),
        ("api.example.org@evil.example", "/", "any {}"),
        ("api.example.org\n", "/", "any {}"),
        ("", "/", "any {}"),
    ],
)
async def test_the_host_decides(host: str, path: str, expected: str) -> None:
    channel = await call(build_app(), build_scope(path, "GET", ("host", host)))
    assert channel.body.decode() == expected


async def test_without_a_host_no_host_matches() -> None:
    channel = await call(build_app(), build_scope("/"))
    assert channel.body == b"any {}"


async def test_errors_below_a_host_go_to_the_handlers_of_the_application() -> None:
    async def on_404(request: Request[Any], exc: Exception) -> Response:
        return PlainTextResponse("own 404", 404)

    app = App(
        routes=[Host("a.org", app=Router([Route("/x", answer("x"))]))],
        exception_handlers={404: on_404},
    )
    for path, method, expected in (
        ("/none", "GET", (404, b"own 404")),
        ("/x", "POST", (405, b"Method Not Allowed")),
    ):
        channel = await call(app, build_scope(path, method, ("host", "a.org")))
        assert (channel.status, channel.body) == expected


def test_websockets_have_hosts_too(client_factory: ClientFactory) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        await websocket.send_json(websocket.path_params)

    app = App()
    app.host("{tenant}.example.org", Router([WebSocketRoute("/ws", endpoint)]), name="tenants")
    app.router.host("b.org", Router([WebSocketRoute("/ws", endpoint)]))
    with client_factory(app, "http://acme.example.org").websocket_connect("/ws") as session:
        assert session.receive_json() == {"tenant": "acme"}
    with client_factory(app, "http://b.org").websocket_connect("/ws") as session:
        assert session.receive_json() == {}
    with (
        pytest.raises(WebSocketDisconnect),
        client_factory(app, "http://c.org").websocket_connect("/ws"),
    ):
        pass


def test_names_lead_to_hosts() -> None:
    item = Route("/item/{id:int}", answer("item"), name="item")
    app = App(
        routes=[
            Host("{tenant}.example.org", app=Router([item]), name="tenant"),
            Host("plain.org", app=Router([Mount("/m", routes=[item])])),
        ]
    )
    path = app.url_path_for("tenant:item", tenant="acme", id=7)
    assert (path, path.host, path.protocol) == ("/item/7", "acme.example.org", "http")
    assert str(path.make_absolute_url("https://x.org")) == "https://acme.example.org/item/7"
    assert app.url_path_for("tenant", tenant="a", path="/x").host == "a.example.org"
    path = app.url_path_for("item", id=1)
    assert (path, path.host) == ("/m/item/1", "plain.org")
    for name, params in (
        ("tenant:item", {"id": 7, "other": 1, "tenant": "a"}),
        ("tenant", {"path": "/", "other": 1}),
        ("other:item", {"id": 7}),
    ):
        with pytest.raises(NoMatchFound):
            app.url_path_for(name, **params)


def test_hosts_show_what_they_are() -> None:
    router = Router()
    host = Host("a.org", router, name="a")
    assert repr(host).startswith("Host(host='a.org', name='a', app=<")
    assert host == Host("a.org", router)
    assert host != Host("b.org", router)
    assert len({host, Host("a.org", router)}) == 2
    assert Host("a.org", App(routes=[Route("/", answer("a"))])).routes
    assert Host("a.org", router.not_found).routes == []
    with pytest.raises(ValueError, match="a path belongs in Mount"):
        Host("/a", router)
