"""`Route`: an HTTP endpoint at a path; `BaseRoute`: what every kind of route must offer."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Collection, Sequence
from enum import Enum
from typing import Any

from framework._callables import get_name, is_async_callable, is_handler_function, is_plain
from framework._exception_handler import (
    STARTED_SCOPE_KEY,
    call_handler,
    find_handler,
    run_handled,
    run_tracked,
)
from framework._http.paths import get_route_path
from framework.concurrency import run_in_threadpool
from framework.datastructures import URLPath
from framework.exceptions import HTTPException, NoMatchFound
from framework.middleware import Middleware
from framework.middleware._stack import check_stack
from framework.middleware.body_limit import RequestBodyLimitMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing.patterns import PathPattern, compile_path, convert_params
from framework.routing.refusals import build_method_refusal, refuse
from framework.routing.tree import Candidate
from framework.routing.urls import replace_params
from framework.types import ASGIApp, Receive, Scope, Send

__all__ = [
    "PLAIN_CALL",
    "PLAIN_HANDLE",
    "BaseRoute",
    "Handler",
    "HandlerApp",
    "Match",
    "Route",
    "build_stack",
    "request_response",
]

# An endpoint function, made awaitable.
Handler = Callable[[Request[Any]], Awaitable[Response]]

# Untyped: a partial of a generic coroutine function is more than type checkers follow.
_run_in_threadpool: Any = run_in_threadpool

# A response that is called so sends head and body in two messages and nothing else: nothing of its own
# can fail before it has begun, so nothing has to watch whether it has.
PLAIN_CALL = Response.__call__


class Match(Enum):
    """How a route answers to a scope: not at all, at this path by another method, or fully."""

    NONE = 0
    PARTIAL = 1
    FULL = 2


def request_response(
    func: Callable[[Request[Any]], Awaitable[Response] | Response],
) -> ASGIApp:
    """Return the ASGI application that answers with what `func(request)` returns.

    A sync function runs in a worker thread. Exceptions go to the handlers of the application.
    """
    if is_async_callable(func):
        return HandlerApp(func)
    return HandlerApp(functools.partial(_run_in_threadpool, func))


class HandlerApp:
    """An endpoint function as an ASGI application.

    A caller whose own frame does what `__call__` does may call `handler` itself: see `App.__call__`.
    """

    __slots__ = ("__weakref__", "handler")

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request: Request[Any] = Request(scope, receive, send)
        try:
            response = await self.handler(request)
        except Exception as exc:
            exception_handler = find_handler(scope, exc)
            if exception_handler is None:
                raise
            response = await call_handler(exception_handler, request, exc)
            if response is None:
                return
        if response.__class__.__call__ is not PLAIN_CALL:
            await run_handled(response, request, scope, receive, send)
            return
        try:
            await response(scope, receive, send)
        except Exception:
            scope[STARTED_SCOPE_KEY] = True
            raise


def build_stack(
    app: ASGIApp, middleware: Sequence[Middleware] | None, max_body_size: int | None
) -> ASGIApp:
    """Return `app` inside `middleware` (the first is the outermost), inside the body limit.

    Raises `ValueError` for a stack that cannot work.
    """
    check_stack(middleware or ())
    for cls, args, kwargs in reversed(middleware or ()):
        app = cls(app, *args, **kwargs)
    if max_body_size is not None:
        app = RequestBodyLimitMiddleware(app, max_body_size=max_body_size)
    return app


class BaseRoute:
    """What a router needs of a route; as it stands, a route that matches nothing.

    Subclasses of other people's make are asked one by one, in their place among the routes.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return how this route answers to `scope`, and what to update the scope with."""
        return Match.NONE, {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the route `name`. Raises `NoMatchFound` when that is not this route."""
        raise NoMatchFound(name, path_params)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a scope that this route matched."""
        await refuse(HTTPException(404), scope, receive, send)

    def as_candidate(self, position: int) -> Candidate:
        """Describe this route to an index; as it stands, only `matches` can tell what it answers to."""
        return Candidate(position, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve as an ASGI application of one route, without a router."""
        match, child_scope = self.matches(scope)
        if match is not Match.NONE:
            scope.update(child_scope)
            await self.handle(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("Not Found", status_code=404)(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000, "reason": ""})


class Route(BaseRoute):
    """An HTTP endpoint at a path.

    Args:
        path: a template such as `/users/{id:int}`; starts with a slash.
        endpoint: a sync or async function of the request, or any ASGI application.
        methods: those it answers to (HEAD comes with GET); GET for a function unless given, all
            methods for an ASGI application.
        name: for `url_path_for`; the name of the endpoint unless given.
        include_in_schema: whether schema generators list it.
        middleware: around this endpoint only, the first outermost.
        max_body_size: bytes that the body of a request may have here; replaces outer limits.

    Raises:
        ValueError: a path without a leading slash, a parameter named twice, an unknown convertor.
    """

    # What `app` calls when it is nothing but a handler function, which keeps track of its response
    # itself; None for everything else. Private, as subclasses have attributes of their own.
    _handler: Handler | None = None

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Collection[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
        middleware: Sequence[Middleware] | None = None,
        max_body_size: int | None = None,
    ) -> None:
        if not path.startswith("/"):
            raise ValueError(f"path {path!r} must start with '/'")
        self.path = path
        self.endpoint = endpoint
        self.name = get_name(endpoint) if name is None else name
        self.include_in_schema = include_in_schema
        app: ASGIApp = endpoint
        if is_handler_function(endpoint):
            app = request_response(endpoint)
            methods = ("GET",) if methods is None else methods
        self.app = build_stack(app, middleware, max_body_size)
        self.methods: set[str] | None = None
        if methods is not None:
            self.methods = {method.upper() for method in methods}
            if "GET" in self.methods:
                self.methods.add("HEAD")
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)

    @property
    def app(self) -> ASGIApp:
        """The application that answers; may be wrapped or replaced at any time."""
        return self._app

    @app.setter
    def app(self, app: ASGIApp) -> None:
        self._app = app
        # By exact type: a wrapper may well copy attributes of what it wraps.
        self._handler = app.handler if type(app) is HandlerApp else None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        found = self.path_regex.match(get_route_path(scope))
        params = None if found is None else convert_params(found, self.param_convertors)
        if params is None:
            return Match.NONE, {}
        child_scope = {
            "endpoint": self.endpoint,
            "path_params": {**scope.get("path_params", {}), **params},
        }
        is_full = not self.methods or scope["method"] in self.methods
        return Match.FULL if is_full else Match.PARTIAL, child_scope

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        if name != self.name or path_params.keys() != self.param_convertors.keys():
            raise NoMatchFound(name, path_params)
        path, _ = replace_params(self.path_format, self.param_convertors, path_params)
        return URLPath(path=path, protocol="http")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.methods and scope["method"] not in self.methods:
            await refuse(build_method_refusal(self.methods), scope, receive, send)
        elif self._handler is not None:
            await self.app(scope, receive, send)
        else:
            await run_tracked(self.app, scope, receive, send)

    def as_candidate(self, position: int) -> Candidate:
        if not is_plain(self.matches, _PLAIN_MATCHES):
            return super().as_candidate(position)
        is_direct = self._handler is not None and is_plain(self.handle, PLAIN_HANDLE)
        pattern = PathPattern(self.path, self.param_convertors)
        methods = self.methods or ()
        return Candidate(position, self, pattern, methods, scope_type="http", is_direct=is_direct)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Route)
            and self.path == other.path
            and self.endpoint == other.endpoint
            and self.methods == other.methods
        )

    __hash__ = BaseRoute.__hash__

    def __repr__(self) -> str:
        methods = sorted(self.methods or [])
        name = self.__class__.__name__
        return f"{name}(path={self.path!r}, name={self.name!r}, methods={methods!r})"


# Libraries that trace replace these on the class: then they are called, as those of a subclass are.
PLAIN_HANDLE, _PLAIN_MATCHES = Route.handle, Route.matches
