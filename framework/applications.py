"""`App`: an ASGI application, composed of middleware and a router."""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from framework._callables import is_plain
from framework._exception_handler import (
    HANDLERS_SCOPE_KEY,
    STARTED_SCOPE_KEY,
    answer_handled,
    build_tracked,
    run_handled,
)
from framework.datastructures import State, URLPath
from framework.middleware import Middleware, _MiddlewareFactory
from framework.middleware._entrance import Entrance
from framework.middleware._stack import check_stack
from framework.middleware.body_limit import RequestBodyLimitMiddleware, may_have_body
from framework.middleware.errors import ServerErrorMiddleware
from framework.middleware.exceptions import (
    INNER_SEND_SCOPE_KEY,
    ExceptionMiddleware,
    build_handler_tables,
)
from framework.requests import Request
from framework.responses import Response
from framework.routing import BaseRoute, Route, Router
from framework.routing.router import PLAIN_ROUTER_CALL
from framework.routing.routes import PLAIN_CALL
from framework.tasks import TaskSupervisor
from framework.types import (
    ASGIApp,
    ExceptionHandler,
    ExceptionHandlerTables,
    Lifespan,
    Receive,
    Scope,
    Send,
)
from framework.websockets import WebSocket

__all__ = ["App"]

AppType = TypeVar("AppType", bound="App")
P = ParamSpec("P")


class App:
    """A web application.

    Args:
        debug: answer an unhandled exception with its traceback. Never in production.
        routes: tried in this order.
        middleware: around all routes, the first outermost.
        exception_handlers: `handler(request, exc) -> response`, sync or async, by status code or
            exception class; 500 or `Exception` is the handler for what nobody handles.
        lifespan: an async context manager function of the app, entered before the first request and
            left after the last; the mapping it yields is copied into each request's state.
        max_body_size: bytes that the body of a request may have; mounts and routes may set their own.
            None: `Request.body()` keeps to `_defaults.MAX_BUFFERED_BODY_BYTES`, streams have no limit.
        mount_lifespans: start and stop the mounted applications too; see `Router`.
    """

    # Those of the stack: middleware that refuses a request answers with them.
    _handlers: ExceptionHandlerTables | None = None

    def __init__(
        self: AppType,
        debug: bool = False,
        routes: Sequence[BaseRoute] | None = None,
        middleware: Sequence[Middleware] | None = None,
        exception_handlers: Mapping[Any, ExceptionHandler] | None = None,
        lifespan: Lifespan[AppType] | None = None,
        *,
        max_body_size: int | None = None,
        mount_lifespans: bool = False,
    ) -> None:
        self.debug = debug
        self.state = State()
        self.tasks = TaskSupervisor()
        self.router = Router(routes, lifespan=lifespan, mount_lifespans=mount_lifespans)
        self.max_body_size = max_body_size
        self.exception_handlers: dict[Any, ExceptionHandler] = dict(exception_handlers or {})
        self.user_middleware = list(middleware or ())
        self.middleware_stack: Any = None
        if not mimetypes.inited:
            # The types of files stand in files of the system: no request should have to read them.
            mimetypes.init()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        stack = self.middleware_stack
        if stack.__class__ is not _BareStack:
            if stack is None:
                stack = self.middleware_stack = self._choose_stack()
            if self._handlers is not None:
                scope[HANDLERS_SCOPE_KEY] = self._handlers
            await stack(scope, receive, send)
            return
        if stack.limited is not None and (scope["type"] != "http" or may_have_body(scope)):
            await stack.limited(scope, receive, send)
            return
        # PERF: nobody stands between the error layers, the router and a handler, so this frame does the
        # work of all four: what `_BareStack.run`, `request_response` and `Response.__call__` do.
        scope[HANDLERS_SCOPE_KEY] = stack.handlers
        request: Request[Any] | None = None
        try:
            found = stack.find(scope, receive, send)
            if not isinstance(found, Route):
                await found
                return
            handler = found._handler  # noqa: SLF001
            if handler is None:
                await found.handle(scope, receive, send)
                return
            request = Request(scope, receive, send)
            response = await handler(request)
            if response.__class__.__call__ is not PLAIN_CALL:
                await run_handled(response, request, scope, receive, send)
                return
            try:
                await send(
                    {
                        "type": "http.response.start",
                        "status": response.status_code,
                        "headers": response.raw_headers,
                    }
                )
                await send({"type": "http.response.body", "body": response.body})
                if response.background is not None:
                    await response.background()
            except Exception:
                scope[STARTED_SCOPE_KEY] = True
                raise
        except Exception as exc:
            if not await stack.answer(exc, request, scope, receive, send):
                raise

    def _choose_stack(self) -> ASGIApp:
        """Return the stack; PERF: one layer for all, where nothing stands between and nothing is changed."""
        is_own = is_plain(self.build_middleware_stack, _PLAIN_BUILD)
        if self.user_middleware or not is_own or _list_methods() != _METHODS:
            return self.build_middleware_stack()
        error_handler, handlers = self._split_handlers()
        errors = ServerErrorMiddleware(self.router, error_handler, self.debug)
        bare = _BareStack(self.router, handlers, errors, self.max_body_size)
        self._handlers = bare.handlers
        return bare

    def _split_handlers(self) -> tuple[Any, dict[Any, ExceptionHandler]]:
        """Return the handler for what nobody handles, and the others."""
        error_handler = None
        handlers: dict[Any, ExceptionHandler] = {}
        for key, handler in self.exception_handlers.items():
            if key in (500, Exception):
                error_handler = handler
            else:
                handlers[key] = handler
        return error_handler, handlers

    def build_middleware_stack(self) -> ASGIApp:
        """Return the whole stack: error page, body limit, middleware, exception handlers, router."""
        error_handler, handlers = self._split_handlers()
        # Instrumentation libraries patch these two when they are specified, as Starlette does.
        outer = Middleware(ServerErrorMiddleware, handler=error_handler, debug=self.debug)
        inner = Middleware(ExceptionMiddleware, handlers=handlers, debug=self.debug)
        middleware = list(self.user_middleware)
        check_stack(middleware)
        if self.max_body_size is not None:
            limit = Middleware(RequestBodyLimitMiddleware, max_body_size=self.max_body_size)
            middleware.insert(0, limit)
        core = _Core(self.router, handlers)
        self._handlers = core.handlers
        app: ASGIApp = core.run
        if _list_methods() != _METHODS:
            middleware.append(inner)
            app = self.router
        for cls, args, kwargs in reversed(middleware):
            app = Entrance(cls(app, *args, **kwargs))
        cls, args, kwargs = outer
        # The first layer is given the `send` of the server, which need not be noted.
        stack: ASGIApp = cls(app.app if isinstance(app, Entrance) else app, *args, **kwargs)
        return stack

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of the application; may be changed at any time."""
        return self.router.routes

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Return the path of the route `name`. Raises `NoMatchFound` when there is none."""
        return self.router.url_path_for(name, **path_params)

    def mount(self, path: str, app: ASGIApp, name: str | None = None) -> None:
        """Add an application below a path; see `Mount`."""
        self.router.mount(path, app=app, name=name)

    def host(self, host: str, app: ASGIApp, name: str | None = None) -> None:
        """Add an application for a host; see `Host`."""
        self.router.host(host, app=app, name=name)

    def add_middleware(
        self, middleware_class: _MiddlewareFactory[P], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Add a layer around all there are. Raises `RuntimeError` once requests have been served."""
        if self.middleware_stack is not None:
            raise RuntimeError("Cannot add middleware after an application has started")
        self.user_middleware.insert(0, Middleware(middleware_class, *args, **kwargs))

    def add_exception_handler(
        self, exc_class_or_status_code: int | type[Exception], handler: ExceptionHandler
    ) -> None:
        """Handle a status code or an exception class; must be called before the first request."""
        self.exception_handlers[exc_class_or_status_code] = handler

    def add_route(
        self,
        path: str,
        route: Callable[[Request[Any]], Awaitable[Response] | Response],
        methods: list[str] | None = None,
        name: str | None = None,
        include_in_schema: bool = True,
    ) -> None:
        """Add an HTTP endpoint; see `Route`."""
        self.router.add_route(path, route, methods, name, include_in_schema)


def _list_methods() -> list[object]:
    """List what can be patched in the layers that `_Core` and `_BareStack` stand for."""
    layers = (ExceptionMiddleware, ServerErrorMiddleware)
    return [method for layer in layers for method in vars(layer).values() if callable(method)]


_METHODS = _list_methods()
_PLAIN_BUILD = App.build_middleware_stack


class _Core:
    """The innermost layer of a stack: the router inside the exception handlers.

    PERF: does what `ExceptionMiddleware` does, but makes nothing that only a failure needs. `send` is
    not wrapped: our own router and routes watch what could fail after a response has begun.
    """

    __slots__ = ("app", "find", "handlers")

    def __init__(self, router: Router, handlers: Mapping[Any, ExceptionHandler]) -> None:
        # A router of another make may do as it likes, so it is called like any application.
        is_own = type(router) is Router and Router.__call__ is PLAIN_ROUTER_CALL
        is_own = is_own and not router._has_middleware  # noqa: SLF001
        self.app: ASGIApp = router.app if is_own else build_tracked(router, is_own=False)
        self.find: Any = router._find if is_own else self.app  # noqa: SLF001
        self.handlers = build_handler_tables(handlers)

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if INNER_SEND_SCOPE_KEY in scope:
            scope[INNER_SEND_SCOPE_KEY][0] = send
        scope[HANDLERS_SCOPE_KEY] = self.handlers
        try:
            await self.app(scope, receive, send)
        except Exception as exc:
            if not await self.answer(exc, None, scope, receive, send):
                raise

    async def answer(
        self,
        exc: Exception,
        request: Request[Any] | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> bool:
        """Answer with the handler for `exc`; return False when there is none.

        A handler is given the endpoint's own request: it may have read the body already.
        """
        if scope["type"] == "websocket":
            return await answer_handled(exc, WebSocket(scope, receive, send), receive, send)
        if scope["type"] != "http":
            return False
        return await answer_handled(exc, request or Request(scope, receive, send), receive, send)


class _BareStack(_Core):
    """The whole stack of an application without middleware: both error layers around the router."""

    __slots__ = ("errors", "limited")

    def __init__(
        self,
        router: Router,
        handlers: Mapping[Any, ExceptionHandler],
        errors: ServerErrorMiddleware,
        max_body_size: int | None,
    ) -> None:
        super().__init__(router, handlers)
        self.errors = errors
        self.limited: ASGIApp | None = None
        if max_body_size is not None:
            self.limited = RequestBodyLimitMiddleware(self.run, max_body_size=max_body_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (self.limited or self.run)(scope, receive, send)

    async def answer(
        self,
        exc: Exception,
        request: Request[Any] | None,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> bool:
        """Answer with the handler for `exc`; without one with the error page, and return False."""
        try:
            is_handled = await super().answer(exc, request, scope, receive, send)
        except Exception as failure:  # of the handler itself
            if scope["type"] == "http":
                await self.errors.answer(failure, scope, receive, send)
            raise
        if not is_handled and scope["type"] == "http":
            await self.errors.answer(exc, scope, receive, send)
        return is_handled
