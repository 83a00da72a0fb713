"""Routes that no request can reach are named in the log when the application starts."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings, strategies as st

import framework.routing
from framework._defaults import MAX_HIDDEN_ROUTES_LOGGED
from framework.applications import App
from framework.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from framework.routing.hidden import find_hidden_routes
from framework.types import Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.routing.driver import build_router
from tests.framework.routing.endpoints import answer
from tests.framework.routing.reference import MountSpec, RouteSpec, Spec, Table, decide
from tests.framework.routing.strategies import path_lists, tables

ENDPOINT: Final = answer("x")


def route(path: str, *methods: str) -> Route:
    return Route(path, ENDPOINT, methods=methods or None)


class Everything:
    """An ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


class Picky(Route):
    """A route that knows better than its path."""

    def matches(self, scope: Scope) -> Any:
        return super().matches(scope)


def sockets(path: str) -> WebSocketRoute:
    return WebSocketRoute(path, ENDPOINT)


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (route("/a"), route("/a")),
        (route("/a", "GET", "POST"), route("/a", "POST")),
        (route("/{x}"), route("/a")),
        (route("/{x}"), route("/{y:int}")),
        (route("/{x}"), route("/a{y}.{z}")),
        (route("/{x:int}"), route("/12")),
        (route("/{x:float}"), route("/{y:int}")),
        (route("/{x:float}"), route("/1.5")),
        (route("/{x:uuid}"), route("/{y:uuid}")),
        (route("/a/{x:path}"), route("/a/b/{y}")),
        (route("/a/{x:path}"), route("/a/")),
        (route("/a/{x:path}"), route("/a/{y:path}/raw")),
        (Mount("/a", app=Everything()), route("/a/b", "PUT")),
        (Mount("/a", app=Everything()), sockets("/a/b")),
        (Mount("/a", app=Everything()), Mount("/a", app=Everything())),
        (Mount("/a", app=Everything()), Mount("/a/{x}", app=Everything())),
        (Mount("/{x}", app=Everything()), Mount("/a", app=Everything())),
        (Mount("", app=Everything()), route("/")),
        (sockets("/{x}"), sockets("/a")),
        (Route("/a", Everything()), route("/a", "PUT")),
    ],
)
def test_a_hidden_route_is_found(early: BaseRoute, late: BaseRoute) -> None:
    other = route("/other/{x}/{y}")
    assert list(find_hidden_routes([other, early, late])) == [(late, early)]


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (route("/a"), route("/b")),
        (route("/a"), route("/a", "POST")),
        (route("/a"), route("/a", "GET", "POST")),
        (route("/a"), Route("/a", Everything())),
        (route("/a"), sockets("/a")),
        (route("/{x:int}"), route("/a")),
        (route("/{x:int}"), route("/{y}")),
        (route("/{x:int}"), route("/{y:float}")),
        (route("/{x:int}"), route("/" + "1" * 19)),
        (route("/{x:int}"), route("/1{y:int}")),
        (route("/a{x}"), route("/a{y}")),
        (route("/{x}"), route("/")),
        (route("/{x}"), route("/a/")),
        (route("/{x}"), Mount("/a", app=Everything())),
        (route("/{x}"), route("/{y:path}")),
        (route("/a/{x:path}"), route("/a")),
        (route("/a/{x:path}.txt"), route("/a/b.txt")),
        (route("/a/b{x:path}"), route("/a/bc")),
        (Mount("/a", app=Everything()), route("/a")),
        (Mount("/{x:int}", app=Everything()), Mount("/a", app=Everything())),
        (Mount("/{x:path}", app=Everything()), route("/a/b")),
        (Mount("/a/b", app=Everything()), Mount("/a", app=Everything())),
        (Host("a.org", app=Everything()), route("/a")),
        (Picky("/a", ENDPOINT), route("/a")),
        (route("/a"), Picky("/a", ENDPOINT)),
    ],
)
def test_a_route_that_may_be_reached_is_not_reported(early: BaseRoute, late: BaseRoute) -> None:
    assert list(find_hidden_routes([early, late])) == []


def relabel(spec: Spec, label: str) -> Spec:
    """Give everything in and below one entry of a table the same label."""
    if isinstance(spec, RouteSpec):
        return replace(spec, label=label)
    return replace(spec, children=tuple(relabel(child, label) for child in spec.children))


class Sampler:
    """Counts what one run of the property has found hidden."""

    def __init__(self) -> None:
        self.hidden = 0

    @settings(max_examples=40)
    @given(data=st.data())
    def run(self, data: st.DataObject) -> None:
        table: Table = tuple(
            relabel(spec, str(place)) for place, spec in enumerate(data.draw(tables))
        )
        routes = build_router(framework.routing, table).routes
        places = {id(each): str(place) for place, each in enumerate(routes)}
        hidden = {places[id(late)] for late, _ in find_hidden_routes(routes)}
        self.hidden += len(hidden)
        # `.*` of mounts and `{name:path}` lets line ends pass: no path that anybody routes on purpose.
        paths = [path for path in data.draw(path_lists(table, 10)) if "\n" not in path]
        for path in paths:
            for method in ("GET", "DELETE"):
                assert decide(table, path, method).label not in hidden, (path, method, table)


@pytest.mark.timeout(180)
def test_what_is_reported_is_never_reached() -> None:
    sampler = Sampler()
    sampler.run()
    assert sampler.hidden > 10


def test_equal_routes_in_different_places_are_told_apart() -> None:
    table = (RouteSpec("/a", ("GET",), "a"), RouteSpec("/a", ("GET",), "a"))
    routes = build_router(framework.routing, table).routes
    ((late, early),) = find_hidden_routes(routes)
    assert (late is routes[1], early is routes[0]) == (True, True)
    assert not any(isinstance(spec, MountSpec) for spec in table)


def test_the_start_reports_hidden_routes_at_every_level(
    client_factory: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    inner = [route("/{x}"), route("/a", "GET")]
    app = App(
        routes=[
            Mount("/m", routes=inner),
            Host("a.org", app=Router([Mount("/n", app=App(routes=inner))])),
            route("/m/late", "POST"),
            sockets("/ws"),
            sockets("/ws"),
        ]
    )
    with caplog.at_level(logging.WARNING, "framework.routing"), client_factory(app):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        f"{late} is never reached: {early} stands before it and takes its place"
        for late, early in (
            ("Route POST /m/late", "Mount /m"),
            ("WebSocketRoute /ws", "WebSocketRoute /ws"),
            ("Route GET,HEAD /m/a", "Route GET,HEAD /m/{x}"),
            ("Route GET,HEAD a.org/n/a", "Route GET,HEAD a.org/n/{x}"),
        )
    ]


def test_the_report_has_an_end(
    client_factory: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    app = App(routes=[route("/a") for _ in range(MAX_HIDDEN_ROUTES_LOGGED + 4)])
    with client_factory(app):
        pass
    assert len(caplog.records) == MAX_HIDDEN_ROUTES_LOGGED + 1
    assert caplog.records[-1].getMessage() == "3 more routes are never reached"


def test_an_application_in_order_starts_silently(
    client_factory: ClientFactory, caplog: pytest.LogCaptureFixture
) -> None:
    foreign = Everything()
    foreign.routes = [object()]  # type: ignore[attr-defined]
    app = App(routes=[route("/a"), route("/{x}"), Mount("/m", app=foreign)])
    with client_factory(app) as client:
        assert client.get("/a").status_code == 200
    assert [record for record in caplog.records if record.name == "framework.routing"] == []
