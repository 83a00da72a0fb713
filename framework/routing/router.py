"""`Router` finds the route of a request; `Mount` puts a whole application below a path."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Any

from framework._callables import is_plain
from framework._exception_handler import HANDLERS_SCOPE_KEY, build_tracked, run_tracked
from framework._http.paths import get_route_path
from framework.datastructures import URLPath
from framework.exceptions import HTTPException, NoMatchFound
from framework.middleware import Middleware
from framework.requests import Request
from framework.responses import RedirectResponse, Response
from framework.routing.hidden import log_hidden_routes
from framework.routing.hosts import Host
from framework.routing.lifespan import MountedLifespans, build_lifespan, run_lifespan
from framework.routing.patterns import PathPattern, compile_path, convert_params
from framework.routing.redirects import find_slash_redirect
from framework.routing.refusals import answer_refusal, build_method_refusal, refuse
from framework.routing.routes import PLAIN_HANDLE, BaseRoute, Match, Route, build_stack
from framework.routing.table import RouteList
from framework.routing.tree import NO_CANDIDATES, Candidate
from framework.routing.urls import find_child_name, find_url_path, replace_params
from framework.routing.websockets import SOCKET_METHOD, WebSocketRoute
from framework.types import ASGIApp, Lifespan, Receive, Scope, Send
from framework.websockets import WebSocket, WebSocketClose

__all__ = [
    "PLAIN_ROUTER_CALL",
    "ROUTE_PREFIX_SCOPE_KEY",
    "Mount",
    "Router",
]

# The templates of the mounts above a route, joined: the route's own template completes it.
ROUTE_PREFIX_SCOPE_KEY = "framework.route_prefix"

_NO_METHODS: frozenset[str] = frozenset()


class Router:
    """An ASGI application that hands each request to the first route that matches it.

    Args:
        routes: in the order in which they are to be tried.
        redirect_slashes: redirect `/a` to `/a/` (or back) when only the other one is routed.
        default: the application for what no route matches; 404 unless given.
        lifespan: an async context manager function of the app, around the life of the process.
        middleware: around all routes, the first outermost.
        max_body_size: bytes that the body of a request may have; routes may set their own.
        mount_lifespans: enter the lifespans of all applications mounted below too, each once, in the
            order of the routes and after the router's own, and leave them in reverse; one that fails
            to start stops those before it. What they yield is put together; no key may come twice.
    """

    def __init__(
        self,
        routes: Sequence[BaseRoute] | None = None,
        redirect_slashes: bool = True,
        default: ASGIApp | None = None,
        lifespan: Lifespan[Any] | None = None,
        *,
        middleware: Sequence[Middleware] | None = None,
        max_body_size: int | None = None,
        mount_lifespans: bool = False,
    ) -> None:
        self._routes = RouteList(routes or ())
        self.redirect_slashes = redirect_slashes
        self.default: ASGIApp = self.not_found if default is None else default
        self.lifespan_context: Any = build_lifespan(lifespan)
        self.mount_lifespans = mount_lifespans
        self.middleware_stack = build_stack(self.app, middleware, max_body_size)

    @property
    def _has_middleware(self) -> bool:
        """Whether something stands around the routes, so that `_find` must not be called from outside."""
        return self.middleware_stack != self.app

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes; the list may be changed at any time."""
        return self._routes

    @routes.setter
    def routes(self, routes: Iterable[BaseRoute] | None) -> None:
        self._routes = RouteList(routes or ())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.middleware_stack(scope, receive, send)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one scope, inside the router's own middleware."""
        found: Route | Awaitable[None] = self._find(scope, receive, send)
        if isinstance(found, Route):
            # PERF: `_find` has asked for the method, and a handler function keeps track of its response.
            is_handled = found._handler is not None  # noqa: SLF001
            found = (found.app if is_handled else found.handle)(scope, receive, send)
        await found

    def _find(self, scope: Scope, receive: Receive, send: Send) -> Any:
        """Return the `Route` that is to `handle` a request; or an awaitable, which does what there is to do.

        PERF: no coroutine of its own, and one look-up: a static path, or a single candidate in the
        index, which is what nearly every request finds.
        """
        if "router" not in scope:
            scope["router"] = self
        kind = scope["type"]
        if kind == "http":
            method: str = scope["method"]
            index = self._routes.route_index or self._routes.build_index()
        elif kind == "websocket":
            method = SOCKET_METHOD
            index = self._routes.find_websocket_index()
        else:
            return self.lifespan(scope, receive, send)
        path = get_route_path(scope) if scope.get("root_path") else scope["path"]
        by_method = index.static.get(path)
        if by_method is not None:
            route: Any = by_method.get(method)
            if route is not None:
                scope["route"] = route
                scope["endpoint"] = route.endpoint
                if "path_params" not in scope:
                    scope["path_params"] = {}
                return route if kind == "http" else route.app(scope, receive, send)
        segments = path.split("/")
        shape = index.shapes.get(len(segments))
        if shape is None:
            candidates = index.find_candidates(segments)
        else:
            candidates = shape[1].get(shape[0](segments), NO_CANDIDATES)
        for candidate in candidates:
            if not candidate.is_simple:
                return self._ask_routes(candidates, segments, scope, receive, send)
            params = candidate.find_params(segments) if method in candidate.methods else None
            if params is not None:
                found = candidate.route
                scope["route"] = found
                scope["endpoint"] = found.endpoint
                if "path_params" in scope:
                    params = {**scope["path_params"], **params}
                scope["path_params"] = params
                return found if kind == "http" else found.app(scope, receive, send)
        if not candidates:
            return self._miss(segments, scope, receive, send)
        return self._refuse(candidates, segments, scope, receive, send)

    def _refuse(
        self,
        candidates: list[Candidate],
        segments: list[str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> Awaitable[None]:
        """Answer 405 where routes have this path and another method, else as `_miss` does."""
        outer = scope.get("path_params", {})
        first: Candidate | None = None
        allowed: frozenset[str] = _NO_METHODS
        for candidate in candidates:
            params = candidate.find_params(segments)
            if params is not None:
                allowed |= candidate.methods
                if first is None:
                    first = candidate
                    scope["path_params"] = {**outer, **params}
        if first is None:
            return self._miss(segments, scope, receive, send)
        scope["route"] = first.route
        scope["endpoint"] = first.route.endpoint
        return self._refuse_method(allowed, scope, receive, send)

    def _ask_routes(
        self,
        candidates: list[Candidate],
        segments: list[str],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> Awaitable[None]:
        """Hand a request to the first candidate whose `matches` says so, else answer 405 or 404."""
        partial: BaseRoute | None = None
        partial_scope: Scope = {}
        allowed: frozenset[str] = _NO_METHODS
        for candidate in candidates:
            route: BaseRoute = candidate.route
            match, child_scope = route.matches(scope)
            if match is Match.FULL:
                scope.update(child_scope)
                scope["route"] = route
                return route.handle(scope, receive, send)
            if match is Match.PARTIAL:
                allowed |= frozenset(getattr(route, "methods", None) or ())
                if partial is None:
                    partial, partial_scope = route, child_scope
        if partial is None:
            return self._miss(segments, scope, receive, send)
        scope.update(partial_scope)
        scope["route"] = partial
        if isinstance(partial, Route) and is_plain(partial.handle, PLAIN_HANDLE):
            return self._refuse_method(allowed, scope, receive, send)
        return partial.handle(scope, receive, send)

    def _refuse_method(
        self, allowed: frozenset[str], scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        if self._is_outermost(scope):
            return answer_refusal(405, allowed, scope, receive, send)
        return refuse(build_method_refusal(allowed), scope, receive, send)

    def _miss(
        self, segments: list[str], scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """Redirect to the path with or without its last slash if that is routed, else answer 404.

        A WebSocket is never redirected: clients do not follow.
        """
        if scope["type"] == "websocket":
            return self.default(scope, receive, send)
        if self.redirect_slashes:
            index = self._routes.route_index or self._routes.build_index()
            location = find_slash_redirect(index, segments, scope)
            if location is not None:
                return RedirectResponse(location)(scope, receive, send)
        is_own = is_plain(self.default, _PLAIN_NOT_FOUND)
        if is_own and self._is_outermost(scope):
            return answer_refusal(404, None, scope, receive, send)
        return build_tracked(self.default, is_own=is_own)(scope, receive, send)

    def _is_outermost(self, scope: Scope) -> bool:
        """Whether nothing stands between this router and the exception handlers of an application."""
        return scope["router"] is self and not self._has_middleware and HANDLERS_SCOPE_KEY in scope

    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404, or refuse a WebSocket. Raises `HTTPException` below an application."""
        if scope["type"] == "websocket":
            await WebSocketClose()(scope, receive, send)
            return
        await refuse(HTTPException(404), scope, receive, send)

    async def lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the lifespan scope, after a report of routes that no request can reach."""
        log_hidden_routes(self.routes)
        context = self.lifespan_context
        if self.mount_lifespans:
            context = MountedLifespans(context, self.routes)
        await run_lifespan(context, scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the first route `name` with these parameters, else raise `NoMatchFound`."""
        path = find_url_path(self.routes, name, path_params)
        if path is None:
            raise NoMatchFound(name, path_params)
        return path

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Add an application below a path; see `Mount`."""
        self.routes.append(Mount(path, app=app, name=name))

    def host(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        """Add an application for a host; see `Host`."""
        self.routes.append(Host(host, app=app, name=name))

    def add_route(
        self,
        path: str,
        endpoint: Callable[[Request[Any]], Awaitable[Response] | Response],
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> None:
        """Add an HTTP endpoint; see `Route`."""
        self.routes.append(
            Route(path, endpoint, methods=methods, name=name, include_in_schema=include_in_schema)
        )

    def add_websocket_route(
        self,
        path: str,
        endpoint: Callable[[WebSocket[Any]], Awaitable[None]],
        name: str | None = None,
    ) -> None:
        """Add a WebSocket endpoint; see `WebSocketRoute`."""
        self.routes.append(WebSocketRoute(path, endpoint, name=name))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Router) and self.routes == other.routes

    __hash__ = object.__hash__


class Mount(BaseRoute):
    """An ASGI application, or a list of routes, below a path.

    Args:
        path: a template; `""` or `"/"` mounts at the root. `/a` mounts `/a/...`, never `/ab`.
        app: the application; or
        routes: the routes of a router made here.
        name: prefix of the names below (`name:child`); without one they are found as they are.
        middleware: around the application, the first outermost.
        max_body_size: bytes that the body of a request may have here; replaces outer limits.

    Raises:
        ValueError: a path without a leading slash, or neither `app` nor `routes`.
    """

    def __init__(
        self,
        path: str,
        app: ASGIApp | None = None,
        routes: Sequence[BaseRoute] | None = None,
        name: str | None = None,
        *,
        middleware: Sequence[Middleware] | None = None,
        max_body_size: int | None = None,
    ) -> None:
        if path and not path.startswith("/"):
            raise ValueError(f"path {path!r} must start with '/' or be empty")
        if app is None and routes is None:
            raise ValueError(f"Mount({path!r}) needs app=... or routes=...")
        self.path = path.rstrip("/")
        self._base_app: ASGIApp = Router(routes=routes) if app is None else app
        self.app = build_stack(self._base_app, middleware, max_body_size)
        self._is_plain = type(self.app) is Router and not self.app._has_middleware  # noqa: SLF001
        self.name = name
        regex, self.path_format, self.param_convertors = compile_path(self.path + "/{path:path}")
        self.path_regex = regex

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the mounted application, if it has any."""
        routes: list[BaseRoute] = getattr(self._base_app, "routes", [])
        return routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] not in ("http", "websocket"):
            return Match.NONE, {}
        route_path = get_route_path(scope)
        found = self.path_regex.match(route_path)
        params = None if found is None else convert_params(found, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        remaining_path = "/" + params.pop("path")
        root_path = scope.get("root_path", "")
        return Match.FULL, {
            "path_params": {**scope.get("path_params", {}), **params},
            # Stays that of the outermost application, for url_for and base_url in any mount.
            "app_root_path": scope.get("app_root_path", root_path),
            "root_path": root_path + route_path[: -len(remaining_path)],
            "endpoint": self.app,
            ROUTE_PREFIX_SCOPE_KEY: scope.get(ROUTE_PREFIX_SCOPE_KEY, "") + self.path,
        }

    def as_candidate(self, position: int) -> Candidate:
        if not is_plain(self.matches, _PLAIN_MATCHES):
            return super().as_candidate(position)
        pattern = PathPattern(self.path, self.param_convertors, is_prefix=True)
        return Candidate(position, self, pattern)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        if self.name is not None and name == self.name and "path" in path_params:
            params = {**path_params, "path": str(path_params["path"]).lstrip("/")}
            path, unused = replace_params(self.path_format, self.param_convertors, params)
            if not unused:
                return URLPath(path=path)
        elif (child := find_child_name(self.name, name)) is not None:
            params = {**path_params, "path": ""}
            prefix, unused = replace_params(self.path_format, self.param_convertors, params)
            if "path" in path_params:
                unused["path"] = path_params["path"]
            found = find_url_path(self.routes, child, unused)
            if found is not None:
                return URLPath(path=prefix.rstrip("/") + str(found), protocol=found.protocol)
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_plain:
            await self.app(scope, receive, send)
        else:
            await run_tracked(self.app, scope, receive, send)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mount) and self.path == other.path and self.app == other.app

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        name = self.__class__.__name__
        return f"{name}(path={self.path!r}, name={self.name or ''!r}, app={self.app!r})"


PLAIN_ROUTER_CALL, _PLAIN_NOT_FOUND = Router.__call__, Router.not_found
_PLAIN_MATCHES = Mount.matches
