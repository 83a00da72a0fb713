"""WebSocket routes: the same choice as a scan of all routes makes, and what they are."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import Phase, given, settings, strategies as st

from framework.applications import App
from framework.datastructures import URLPath
from framework.exceptions import NoMatchFound
from framework.middleware import Middleware
from framework.routing import BaseRoute, Match, Mount, Route, Router, WebSocketRoute
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocket, WebSocketClose, WebSocketDisconnect
from tests.clients import ClientFactory
from tests.framework.routing.driver import Endpoint, Exchange, build_scope
from tests.framework.routing.endpoints import answer
from tests.framework.routing.reference import MountSpec, Outcome, RouteSpec, Table, decide
from tests.framework.routing.strategies import path_lists, tables

IN_CI: Final = os.environ.get("CI", "").lower() in {"1", "true"}
EXAMPLES: Final = 600 if IN_CI else 60
PATHS_PER_TABLE: Final = 20


def is_socket(spec: RouteSpec) -> bool:
    """Say which routes of a random table are WebSockets; the others are HTTP routes."""
    return spec.methods is None or "GET" in spec.methods


def build_handler(label: str) -> Any:
    """Return an endpoint function that answers as `Endpoint` does."""

    async def handler(websocket: WebSocket[Any]) -> None:
        await Endpoint(label)(websocket.scope, websocket._receive, websocket._send)

    return handler


def build_routes(table: Table) -> list[BaseRoute]:
    """Build a table with its WebSockets among the HTTP routes."""
    routes: list[BaseRoute] = []
    for spec in table:
        if isinstance(spec, MountSpec):
            routes.append(Mount(spec.template, routes=build_routes(spec.children)))
        elif is_socket(spec):
            make = Endpoint if spec.label.endswith("a") else build_handler
            routes.append(WebSocketRoute(spec.template, make(spec.label)))
        else:
            routes.append(Route(spec.template, answer(spec.label), methods=spec.methods))
    return routes


def keep_sockets(table: Table) -> Table:
    """Return the table as a WebSocket sees it."""
    return tuple(
        replace(spec, children=keep_sockets(spec.children))
        if isinstance(spec, MountSpec)
        else replace(spec, methods=None)
        for spec in table
        if isinstance(spec, MountSpec) or is_socket(spec)
    )


def connect(router: Router, path: str) -> Outcome:
    """Return what a router made of a WebSocket; nothing on the way waits."""
    exchange = Exchange()
    scope = {**build_scope(path, "GET"), "type": "websocket"}
    del scope["method"]
    call: Any = router(scope, exchange.receive, exchange.send)
    with pytest.raises(StopIteration):
        call.send(None)
    first = exchange.messages[0]
    if first["type"] == "websocket.close":
        return Outcome(404)
    return Outcome(200, first["label"], tuple(sorted(first["params"].items())))


def expect(table: Table, path: str) -> Outcome:
    """Return what the scan decides; a WebSocket is never redirected."""
    outcome = decide(keep_sockets(table), path, "GET")
    return Outcome(404) if outcome.status == 307 else outcome


@pytest.mark.timeout(300)
@settings(max_examples=EXAMPLES, phases=[Phase.reuse, Phase.generate])
@given(data=st.data())
def test_the_index_decides_as_the_linear_scan_does(data: st.DataObject) -> None:
    table = data.draw(tables)
    router = Router(build_routes(table))
    for path in data.draw(path_lists(table, PATHS_PER_TABLE)):
        assert connect(router, path) == expect(table, path), (path, table)


def test_the_scan_sees_a_wrong_choice() -> None:
    table = (RouteSpec("/{x}", None, "first"), RouteSpec("/a", None, "second"))
    assert connect(Router(build_routes(table)), "/a") == expect(table, "/a")
    assert connect(Router(build_routes(table[::-1])), "/a") != expect(table, "/a")


def greet(label: str) -> Any:
    """Return an endpoint that tells what routing found."""

    async def endpoint(websocket: WebSocket[Any]) -> None:
        scope = websocket.scope
        await websocket.accept()
        prefix = scope.get("framework.route_prefix", "")
        await websocket.send_json([label, websocket.path_params, prefix + scope["route"].path])

    return endpoint


def ask(client_factory: ClientFactory, app: App, path: str) -> Any:
    with client_factory(app).websocket_connect(path) as session:
        return session.receive_json()


def test_one_path_may_have_both_kinds(client_factory: ClientFactory) -> None:
    app = App(routes=[Route("/a", answer("http")), WebSocketRoute("/a", greet("socket"))])
    assert ask(client_factory, app, "/a") == ["socket", {}, "/a"]
    client = client_factory(app)
    assert client.get("/a").text == "http {}"
    assert client.post("/a").status_code == 405
    assert client.request("websocket", "/a").status_code == 405


def test_mounts_lead_to_websockets(client_factory: ClientFactory) -> None:
    inner = [WebSocketRoute("/{id:int}", greet("inner"))]
    app = App(
        routes=[
            Mount("/{tenant}", routes=[Mount("/rooms", app=App(routes=inner))]),
            Route("/x", answer("http")),
        ]
    )
    found = ask(client_factory, app, "/acme/rooms/7")
    assert found == ["inner", {"tenant": "acme", "id": 7}, "/{tenant}/rooms/{id:int}"]


def test_routes_may_be_added_while_the_application_runs(client_factory: ClientFactory) -> None:
    app = App(routes=[WebSocketRoute("/old", greet("old"))])
    assert ask(client_factory, app, "/old")[0] == "old"
    app.router.add_websocket_route("/new/{x}", greet("new"), name="new")
    assert ask(client_factory, app, "/new/1")[0] == "new"
    assert app.url_path_for("new", x="1") == "/new/1"
    app.routes.clear()
    with pytest.raises(WebSocketDisconnect), client_factory(app).websocket_connect("/old"):
        pass


class Note:
    """Middleware that writes down what passes."""

    def __init__(self, app: Any, notes: list[str], name: str) -> None:
        self.app = app
        self.notes = notes
        self.name = name

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.notes.append(f"{self.name} {scope['type']}")
        await self.app(scope, receive, send)


@pytest.mark.parametrize("path", ["/a", "/b/1"])
def test_middleware_stands_around_one_endpoint(path: str, client_factory: ClientFactory) -> None:
    notes: list[str] = []
    around = [Middleware(Note, notes, "outer"), Middleware(Note, notes, "inner")]
    app = App(
        routes=[
            WebSocketRoute("/a", greet("a"), middleware=around),
            WebSocketRoute("/b/{x}", greet("b"), middleware=around),
            WebSocketRoute("/c", greet("c")),
        ]
    )
    ask(client_factory, app, path)
    ask(client_factory, app, "/c")
    assert notes == ["outer websocket", "inner websocket"]


class QueryRoute(BaseRoute):
    """A route of another make, for both kinds of connection."""

    def __init__(self, match: Match) -> None:
        self.match = match

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_asked = scope["query_string"] == b"x"
        return (self.match if is_asked else Match.NONE), {"endpoint": self}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await WebSocketClose(4000 + self.match.value)(scope, receive, send)


class Loud(WebSocketRoute):
    """A subclass with its own `handle`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_params"] = {**scope["path_params"], "loud": True}
        await super().handle(scope, receive, send)


class Narrow(WebSocketRoute):
    """A subclass with its own `matches`."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if scope["query_string"] == b"open" else (Match.NONE, {})


@pytest.mark.parametrize("template", ["/a", "/{x}", "/{x:path}"])
def test_subclasses_keep_their_own_ways(template: str, client_factory: ClientFactory) -> None:
    app = App(routes=[Narrow(template, greet("narrow")), Loud(template, greet("loud"))])
    assert ask(client_factory, app, "/a?open")[0] == "narrow"
    label, params, _ = ask(client_factory, app, "/a")
    assert (label, params["loud"]) == ("loud", True)


def test_a_foreign_route_is_asked_in_its_turn() -> None:
    routes = [
        WebSocketRoute("/first", Endpoint("first")),
        QueryRoute(Match.PARTIAL),
        WebSocketRoute("/{x}", Endpoint("later")),
    ]

    def close_code(path: str) -> Any:
        exchange = Exchange()
        scope = {**build_scope(path, "GET", b"x"), "type": "websocket"}
        call: Any = Router(routes)(scope, exchange.receive, exchange.send)
        with pytest.raises(StopIteration):
            call.send(None)
        return exchange.messages[0].get("code")

    assert close_code("/first") is None
    assert close_code("/other") is None  # a full match behind a partial one
    assert close_code("/no/where") == 4001
    routes[1] = QueryRoute(Match.FULL)
    assert close_code("/first") is None
    assert close_code("/other") == 4002


def test_a_route_serves_alone(client_factory: ClientFactory) -> None:
    route = WebSocketRoute("/a/{x:int}", build_handler("alone"))
    assert connect(route, "/a/7") == Outcome(200, "alone", (("x", 7),))  # type: ignore[arg-type]
    assert connect(route, "/b") == Outcome(404)  # type: ignore[arg-type]


def test_names_lead_to_paths_of_websockets() -> None:
    route = WebSocketRoute("/rooms/{id:int}", greet("room"), name="room")
    app = App(routes=[route, Mount("/m", routes=[route], name="m")])
    path = app.url_path_for("m:room", id=7)
    assert isinstance(path, URLPath)
    assert (path, path.protocol) == ("/m/rooms/7", "websocket")
    assert str(path.make_absolute_url("https://example.org")) == "wss://example.org/m/rooms/7"
    for params in ({}, {"id": 7, "other": 1}):
        with pytest.raises(NoMatchFound):
            app.url_path_for("room", **params)


def test_routes_show_what_they_are() -> None:
    route = WebSocketRoute("/a", greet("a"), name="n")
    assert repr(route) == "WebSocketRoute(path='/a', name='n')"
    assert route == WebSocketRoute("/a", route.endpoint)
    assert route != WebSocketRoute("/b", route.endpoint)
    assert route != Route("/a", route.endpoint)
    assert len({route, WebSocketRoute("/a", route.endpoint)}) == 2
    assert WebSocketRoute("/a", route.endpoint).name == "endpoint"
    with pytest.raises(ValueError, match="must start with '/'"):
        WebSocketRoute("a", route.endpoint)
