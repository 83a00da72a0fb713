"""What an application is made of, as text: its layers and its routes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from framework._callables import unwrap_partial
from framework.middleware import Middleware
from framework.routing.hosts import Host
from framework.routing.router import Mount
from framework.routing.routes import BaseRoute
from framework.routing.websockets import WebSocketRoute

__all__ = [
    "RouteLine",
    "list_layers",
    "list_routes",
    "render_application",
]


class RouteLine(NamedTuple):
    """One route.

    `methods` may also be `WEBSOCKET`, `MOUNT` or `HOST`, or `*` for every method; `path` begins with
    the templates of the mounts and hosts above; `name` is what `url_path_for` takes; `middleware` are
    the layers around this route alone, the first outermost.
    """

    methods: str
    path: str
    name: str
    endpoint: str
    middleware: str


_TITLES = RouteLine("METHODS", "PATH", "NAME", "ENDPOINT", "MIDDLEWARE")


def list_layers(app: Any) -> list[str]:
    """Return the layers around the routes of an application by their names, the outermost first.

    An application inside others is found by their attribute `app`. Options are not shown: some are
    secret.
    """
    layers = []
    while not hasattr(app, "routes") and hasattr(app, "app"):
        layers.append(_name(app))
        app = app.app
    layers.append(_name(app))
    if getattr(app, "max_body_size", None) is not None:
        layers.append(f"max_body_size={app.max_body_size}")
    layers += [_name(layer.cls) for layer in _find_list(app, "user_middleware", Middleware)]
    return layers


def list_routes(routes: Sequence[BaseRoute]) -> list[RouteLine]:
    """Return the routes in the order in which they are tried, each mount before what is below it."""
    return list(_list_routes(routes, "", "", {}))


def render_application(app: Any) -> str:
    """Return layers and routes of an application as two tables of text."""
    layers = "\n".join(f"  {layer}" for layer in list_layers(app))
    while not hasattr(app, "routes") and hasattr(app, "app"):
        app = app.app
    rows = [_TITLES, *list_routes(_find_list(app, "routes", BaseRoute))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(["Layers, the outermost first:", layers, "", *lines, ""])


def _list_routes(
    routes: Sequence[BaseRoute], prefix: str, names: str, above: dict[int, object]
) -> Iterator[RouteLine]:
    # What is above is not listed again below itself: an application may be mounted in itself.
    above = {**above, id(routes): routes}
    for route in routes:
        place = prefix + getattr(route, "path", getattr(route, "host", ""))
        name = getattr(route, "name", None) or ""
        target = getattr(
            route, "endpoint", getattr(route, "_base_app", getattr(route, "app", route))
        )
        yield RouteLine(
            _find_methods(route),
            place or "/",
            names + name if name else "",
            _name(target),
            _find_around(route, target),
        )
        below = _find_list(route, "routes", BaseRoute)
        if id(below) not in above:
            yield from _list_routes(below, place, f"{names}{name}:" if name else names, above)


def _find_methods(route: BaseRoute) -> str:
    if isinstance(route, Mount):
        return "MOUNT"
    if isinstance(route, Host):
        return "HOST"
    if isinstance(route, WebSocketRoute):
        return "WEBSOCKET"
    return ",".join(sorted(getattr(route, "methods", None) or "*"))


def _find_around(route: Any, target: Any) -> str:
    """Name what stands between a route and its endpoint, and the layers of a mounted application."""
    layers = []
    app: Any = getattr(route, "app", None)
    while app is not target and hasattr(app, "app"):
        layers.append(_name(app))
        app = app.app
    layers += [_name(layer.cls) for layer in _find_list(target, "user_middleware", Middleware)]
    return ", ".join(layer.rpartition(":")[2] for layer in layers)


def _find_list(bearer: Any, name: str, kind: type[Any]) -> list[Any]:
    """Return a list of ours; an application of another framework has lists of things of its own."""
    found = getattr(bearer, name, None)
    return (
        found if isinstance(found, list) and all(isinstance(each, kind) for each in found) else []
    )


def _name(target: Any) -> str:
    """Return `module:name` of a function, a class, or the class of an object."""
    target = unwrap_partial(target)
    kind = target if hasattr(target, "__qualname__") else type(target)
    return f"{kind.__module__}:{kind.__qualname__}"
