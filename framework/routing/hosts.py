"""`Host`: an ASGI application for the requests to a host."""

from __future__ import annotations

from typing import Any

from framework._exception_handler import run_tracked
from framework._http.hosts import find_host
from framework.datastructures import Headers, URLPath
from framework.exceptions import NoMatchFound
from framework.routing.patterns import compile_path, convert_params
from framework.routing.routes import BaseRoute, Match
from framework.routing.urls import find_child_name, find_url_path, replace_params
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "Host",
]


class Host(BaseRoute):
    """An ASGI application for the requests to a host, whatever the port and the case of letters.

    Args:
        host: a template such as `{tenant}.example.org`.
        app: the application.
        name: prefix of the names below (`name:child`); without one they are found as they are.

    Raises:
        ValueError: a host that starts with a slash, a parameter named twice, an unknown convertor.
    """

    def __init__(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        if host.startswith("/"):
            raise ValueError(f"host {host!r} must not start with '/': a path belongs in Mount")
        self.host = host
        self.app = app
        self.name = name
        self.host_regex, self.host_format, self.param_convertors = compile_path(host)

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the application, if it has any."""
        routes: list[BaseRoute] = getattr(self.app, "routes", [])
        return routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        parsed = find_host(Headers(scope=scope).get("host", ""), any_port=True)
        found = None if parsed is None else self.host_regex.match(parsed.host.lower())
        params = None if found is None else convert_params(found, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        return Match.FULL, {
            "path_params": {**scope.get("path_params", {}), **params},
            "endpoint": self.app,
        }

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        if self.name is not None and name == self.name and "path" in path_params:
            path = path_params.pop("path")
            host, unused = replace_params(self.host_format, self.param_convertors, path_params)
            if not unused:
                return URLPath(path=path, host=host)
            raise NoMatchFound(name, path_params)
        child = find_child_name(self.name, name)
        if child is not None:
            host, unused = replace_params(
                self.host_format, self.param_convertors, dict(path_params)
            )
            found = find_url_path(self.routes, child, unused)
            if found is not None:
                return URLPath(path=found, protocol=found.protocol, host=host)
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await run_tracked(self.app, scope, receive, send)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and self.host == other.host and self.app == other.app

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        name = self.__class__.__name__
        return f"{name}(host={self.host!r}, name={self.name or ''!r}, app={self.app!r})"
