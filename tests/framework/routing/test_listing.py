"""The layers and routes of an application as text: what `make routes` prints."""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import pytest

from framework.applications import App
from framework.endpoints import HTTPEndpoint
from framework.middleware import Middleware
from framework.observability.middleware import ObservabilityMiddleware
from framework.responses import Response
from framework.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from framework.routing.listing import RouteLine, list_layers, list_routes, render_application
from framework.staticfiles import StaticFiles
from framework.types import ASGIApp, Receive, Scope, Send

HERE = __name__


class Outer:
    def __init__(self, app: ASGIApp, secret: str = "") -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Inner(Outer):
    pass


class Page(HTTPEndpoint):
    pass


async def show(request: Any, *more: Any) -> Response:
    return Response()


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    pass


def list_one(route: BaseRoute) -> RouteLine:
    [line] = list_routes([route])
    return line


@pytest.mark.parametrize(
    ("route", "line"),
    [
        (Route("/", show), ("GET,HEAD", "/", "show", f"{HERE}:show", "")),
        (
            Route("/{id:int}", show, methods=["PUT", "DELETE"], name="change"),
            ("DELETE,PUT", "/{id:int}", "change", f"{HERE}:show", ""),
        ),
        (Route("/p", Page), ("*", "/p", "Page", f"{HERE}:Page", "")),
        (Route("/o", Outer(serve)), ("*", "/o", "Outer", f"{HERE}:Outer", "")),
        (
            Route("/q", functools.partial(show, 1), name="q"),
            ("GET,HEAD", "/q", "q", f"{HERE}:show", ""),
        ),
        (WebSocketRoute("/w", show), ("WEBSOCKET", "/w", "show", f"{HERE}:show", "")),
        (
            Route("/", show, middleware=[Middleware(Outer), Middleware(Inner)], max_body_size=1),
            ("GET,HEAD", "/", "show", f"{HERE}:show", "RequestBodyLimitMiddleware, Outer, Inner"),
        ),
        (
            WebSocketRoute("/", show, middleware=[Middleware(Inner)]),
            ("WEBSOCKET", "/", "show", f"{HERE}:show", "Inner"),
        ),
        (
            Mount("/s", Outer(serve), name="static"),
            ("MOUNT", "/s", "static", f"{HERE}:Outer", ""),
        ),
        (
            Mount("", App(middleware=[Middleware(Inner)]), middleware=[Middleware(Outer)]),
            ("MOUNT", "/", "", "framework.applications:App", "Outer, Inner"),
        ),
        (
            Host("{tenant}.example.org", Outer(serve)),
            ("HOST", "{tenant}.example.org", "", f"{HERE}:Outer", ""),
        ),
        (BaseRoute(), ("*", "/", "", "framework.routing.routes:BaseRoute", "")),
    ],
)
def test_a_route_is_a_line(route: BaseRoute, line: tuple[str, ...]) -> None:
    assert list_one(route) == line


def test_what_is_below_a_mount_or_host_has_its_place_and_its_name() -> None:
    routes = [
        Mount("/a", name="a", routes=[Mount("/b", routes=[Route("/c", show)]), Route("/", show)]),
        Host("x.org", App(routes=[Route("/h", show)]), name="x"),
        Mount("/m", Router([Route("/n", show)]), middleware=[Middleware(Outer)]),
    ]

    assert [(line.methods, line.path, line.name) for line in list_routes(routes)] == [
        ("MOUNT", "/a", "a"),
        ("MOUNT", "/a/b", ""),
        ("GET,HEAD", "/a/b/c", "a:show"),
        ("GET,HEAD", "/a/", "a:show"),
        ("HOST", "x.org", "x"),
        ("GET,HEAD", "x.org/h", "x:show"),
        ("MOUNT", "/m", ""),
        ("GET,HEAD", "/m/n", "show"),
    ]


def test_every_listed_name_is_one_that_url_path_for_takes() -> None:
    app = App(routes=[Mount("/a", name="a", routes=[Mount("/b", routes=[Route("/c", show)])])])

    assert app.url_path_for(list_routes(app.routes)[2].name) == "/a/b/c"


def test_an_application_mounted_in_itself_is_listed_once() -> None:
    app = App()
    app.mount("/again", app)

    assert [line.path for line in list_routes(app.routes)] == ["/again"]


def test_one_mounted_twice_is_listed_twice() -> None:
    inner = Router([Route("/x", show)])

    lines = list_routes([Mount("/a", inner), Mount("/b", inner)])

    assert [line.path for line in lines] == ["/a", "/a/x", "/b", "/b/x"]


def test_routes_of_another_framework_are_not_looked_into() -> None:
    class Foreign:
        routes: ClassVar = [object()]
        user_middleware = "theirs"

    assert list_one(Mount("/x", Foreign())).path == "/x"  # type: ignore[arg-type]


def test_layers_are_listed_from_the_outermost_without_their_options() -> None:
    app = App(
        middleware=[Middleware(Outer, secret="swordfish"), Middleware(Inner)], max_body_size=5
    )
    app.add_middleware(Inner)

    layers = list_layers(ObservabilityMiddleware(app))

    assert layers == [
        "framework.observability.middleware:ObservabilityMiddleware",
        "framework.applications:App",
        "max_body_size=5",
        f"{HERE}:Inner",
        f"{HERE}:Outer",
        f"{HERE}:Inner",
    ]


def test_it_is_printed_as_two_tables() -> None:
    app = App(routes=[Route("/", show), Route("/{id}", show, name="one", methods=["PUT"])])

    assert render_application(ObservabilityMiddleware(app)) == (
        "Layers, the outermost first:\n"
        "  framework.observability.middleware:ObservabilityMiddleware\n"
        "  framework.applications:App\n"
        "\n"
        f"METHODS   PATH   NAME  ENDPOINT{' ' * (len(HERE) - 3)}  MIDDLEWARE\n"
        f"GET,HEAD  /      show  {HERE}:show\n"
        f"PUT       /{{id}}  one   {HERE}:show\n"
    )


def test_an_application_without_routes_has_none_in_print(tmp_path: Any) -> None:
    lines = render_application(StaticFiles(directory=tmp_path)).splitlines()

    assert lines[1].endswith("StaticFiles")
    assert lines[-1].split() == ["METHODS", "PATH", "NAME", "ENDPOINT", "MIDDLEWARE"]
