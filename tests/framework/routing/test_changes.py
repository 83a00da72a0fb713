"""Routes may come and go while the application runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from framework.applications import App
from framework.routing import BaseRoute, Mount, Route, Router
from tests.framework.routing.endpoints import answer, fetch

pytestmark = pytest.mark.anyio


def replace_all(app: App) -> None:
    app.router.routes = [Route("/new", answer("new"))]


CHANGES: dict[str, Callable[[App], object]] = {
    "append": lambda app: app.routes.append(Route("/new", answer("new"))),
    "extend": lambda app: app.routes.extend([Route("/new", answer("new"))]),
    "+=": lambda app: app.routes.__iadd__([Route("/new", answer("new"))]),
    "insert": lambda app: app.router.routes.insert(0, Route("/new", answer("new"))),
    "item": lambda app: app.routes.__setitem__(0, Route("/new", answer("new"))),
    "slice": lambda app: app.routes.__setitem__(slice(0, 1), [Route("/new", answer("new"))]),
    "add_route": lambda app: app.add_route("/new", answer("new")),
    "mount": lambda app: app.mount("/new", Router([Route("/", answer("new"))])),
    "assignment": replace_all,
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_route_added_after_the_first_request_is_found(change: str) -> None:
    app = App(routes=[Route("/old", answer("old")), Route("/{x}/y", answer("param"))])
    assert await fetch(app, "/old") == "200 old {}"
    assert (await fetch(app, "/new")).startswith("404")
    CHANGES[change](app)
    path = "/new/" if change == "mount" else "/new"
    assert await fetch(app, path) == "200 new {}"


REMOVALS: dict[str, Callable[[list[BaseRoute]], object]] = {
    "del": lambda routes: routes.__delitem__(0),
    "del slice": lambda routes: routes.__delitem__(slice(None)),
    "pop": lambda routes: routes.pop(0),
    "remove": lambda routes: routes.remove(routes[0]),
    "clear": lambda routes: routes.clear(),
    "*=": lambda routes: routes.__imul__(0),
}


@pytest.mark.parametrize("removal", REMOVALS)
async def test_a_route_removed_after_the_first_request_is_gone(removal: str) -> None:
    app = App(routes=[Route("/old", answer("old"))])
    assert await fetch(app, "/old") == "200 old {}"
    REMOVALS[removal](app.routes)
    assert await fetch(app, "/old") == "404 Not Found"


async def test_a_new_order_is_a_new_choice() -> None:
    app = App(routes=[Route("/a", answer("static")), Route("/{x}", answer("param"))])
    assert await fetch(app, "/a") == "200 static {}"
    app.routes.reverse()
    assert await fetch(app, "/a") == "200 param {'x': 'a'}"
    app.routes.sort(key=lambda route: route.path)  # type: ignore[attr-defined]
    assert await fetch(app, "/a") == "200 static {}"


async def test_routes_of_a_mount_may_change_too() -> None:
    mount = Mount("/m", routes=[])
    app = App(routes=[mount])
    assert await fetch(app, "/m/new") == "404 Not Found"
    mount.routes.append(Route("/new", answer("new")))
    assert await fetch(app, "/m/new") == "200 new {}"


def test_the_given_list_is_not_the_router_s_own() -> None:
    given: list[BaseRoute] = [Route("/a", answer("a"))]
    router = Router(given)
    router.routes.append(Route("/b", answer("b")))
    assert len(given) == 1


def test_the_same_route_may_be_registered_twice() -> None:
    route = Route("/a", answer("a"))
    router = Router([route, route, Mount("/m", routes=[route])])
    assert router == Router([route, route, Mount("/m", app=router.routes[2].app)])  # type: ignore[attr-defined]


async def test_methods_count_until_the_first_request_and_from_a_new_list_on() -> None:
    route = Route("/a/{x}", answer("found"))
    app = App(routes=[route])
    route.methods = {"POST"}
    assert await fetch(app, "/a/1", "POST") == "200 found {'x': '1'}"
    route.methods = {"PUT"}
    assert (await fetch(app, "/a/1", "PUT")).startswith("405")
    app.router.routes = app.routes
    assert await fetch(app, "/a/1", "PUT") == "200 found {'x': '1'}"
