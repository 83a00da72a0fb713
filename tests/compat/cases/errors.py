"""Exceptions: handlers by status and class, bare statuses, 500 with and without debug."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.compat.harness import Case, Request, Socket


class KnownError(Exception):
    """An error that has a handler."""


class NarrowerError(KnownError):
    """An error whose parent has a handler."""


class UnknownError(Exception):
    """An error nobody handles."""


def build_endpoints(names: Any) -> list[Any]:
    """Return routes that raise in every way."""
    raised = {
        "/teapot": lambda: names.HTTPException(418),
        "/detail": lambda: names.HTTPException(400, detail="Not like this"),
        "/headers": lambda: names.HTTPException(401, headers={"WWW-Authenticate": "Basic"}),
        "/204": lambda: names.HTTPException(204),
        "/304": lambda: names.HTTPException(304, headers={"ETag": '"x"'}),
        "/204-detail": lambda: names.HTTPException(204, detail="never sent"),
        "/409": lambda: names.HTTPException(409, detail="conflict"),
        "/799": lambda: names.HTTPException(799),
        "/known": lambda: KnownError("known"),
        "/narrower": lambda: NarrowerError("narrower"),
        "/unknown": lambda: UnknownError("unknown"),
        "/http-500": lambda: names.HTTPException(500),
        "/cannot": lambda: names.HTTPException(410),
    }

    return [
        *(names.Route(path, build_async_raiser(build)) for path, build in raised.items()),
        *(names.Route("/sync" + path, build_sync_raiser(build)) for path, build in raised.items()),
    ]


def build_async_raiser(build: Callable[[], Exception]) -> Any:
    """Return an endpoint that raises."""

    async def endpoint(request: Any) -> Any:
        raise build()

    return endpoint


def build_sync_raiser(build: Callable[[], Exception]) -> Any:
    """Return an endpoint that raises in a thread."""

    def endpoint(request: Any) -> Any:
        raise build()

    return endpoint


PATHS = (
    "/teapot",
    "/detail",
    "/headers",
    "/204",
    "/304",
    "/204-detail",
    "/409",
    "/799",
    "/known",
    "/narrower",
    "/unknown",
    "/http-500",
    "/cannot",
    "/sync/teapot",
    "/sync/known",
    "/sync/unknown",
    "/missing",
)


def build_plain(names: Any) -> Any:
    """Build an application without handlers of its own."""
    return names.App(routes=build_endpoints(names))


def build_handled(names: Any) -> Any:
    """Build an application with handlers by status, by class and for the rest."""

    async def on_status(request: Any, exc: Any) -> Any:
        return names.JSONResponse({"status": exc.status_code, "path": request.url.path}, 409)

    def on_known(request: Any, exc: Any) -> Any:
        return names.PlainTextResponse(f"handled {exc}", status_code=422)

    async def on_not_found(request: Any, exc: Any) -> Any:
        return names.HTMLResponse("<p>nothing here</p>", status_code=404)

    async def on_error(request: Any, exc: Any) -> Any:
        return names.JSONResponse({"error": type(exc).__name__}, status_code=500)

    async def on_gone(request: Any, exc: Any) -> Any:
        raise UnknownError("the handler itself failed")

    def on_method(request: Any, exc: Any) -> Any:
        allow = sorted(exc.headers["Allow"].split(", "))
        return names.JSONResponse({"allow": allow}, exc.status_code, exc.headers)

    return names.App(
        routes=build_endpoints(names),
        exception_handlers={
            409: on_status,
            KnownError: on_known,
            404: on_not_found,
            405: on_method,
            410: on_gone,
            500: on_error,
        },
    )


def build_exception_handler(names: Any) -> Any:
    """Build an application that handles `HTTPException` and `Exception` and adds handlers late."""

    def on_http(request: Any, exc: Any) -> Any:
        return names.PlainTextResponse(f"http {exc.status_code} {exc.detail}", exc.status_code)

    def on_anything(request: Any, exc: Any) -> Any:
        return names.PlainTextResponse(f"anything: {exc}", status_code=500)

    app = names.App(routes=build_endpoints(names))
    app.add_exception_handler(names.HTTPException, on_http)
    app.add_exception_handler(Exception, on_anything)
    return app


def build_debug(names: Any) -> Any:
    """Build an application that shows tracebacks."""
    return names.App(debug=True, routes=build_endpoints(names))


def build_mounted(names: Any) -> Any:
    """Build applications in applications: who handles what."""

    def on_known(request: Any, exc: Any) -> Any:
        return names.PlainTextResponse("outer handler", status_code=422)

    def on_known_inside(request: Any, exc: Any) -> Any:
        return names.PlainTextResponse("inner handler", status_code=423)

    async def raise_known(websocket: Any) -> None:
        raise KnownError("known")

    endpoints = [*build_endpoints(names), names.WebSocketRoute("/socket", raise_known)]
    inner = names.App(routes=endpoints, exception_handlers={KnownError: on_known_inside})
    bare = names.App(routes=endpoints)
    return names.App(
        routes=[
            names.Mount("/inner", app=inner),
            names.Mount("/bare", app=bare),
            names.Mount("/routes", routes=endpoints),
            names.Host("inner.example.org", app=inner),
            names.Host("bare.example.org", app=bare),
        ],
        exception_handlers={KnownError: on_known},
    )


def build_same_request(names: Any) -> Any:
    """Build handlers that look at the request that the endpoint has had in its hands."""

    async def read_and_fail(request: Any) -> Any:
        await request.body()
        request.state.note = "left by the endpoint"
        request.own_attribute = "set by the endpoint"
        raise KnownError("after reading")

    async def on_known(request: Any, exc: Any) -> Any:
        body = (await request.body()).decode()
        own = getattr(request, "own_attribute", "lost")
        return names.PlainTextResponse(f"{body}, {request.state.note}, {own}", status_code=422)

    around = names.Middleware(names.RequestBodyLimitMiddleware, max_body_size=100)
    return names.App(
        routes=[
            names.Route("/", read_and_fail, methods=["POST"]),
            names.Route("/around", read_and_fail, methods=["POST"], middleware=[around]),
            names.Mount("/m", routes=[names.Route("/{x}", read_and_fail, methods=["POST"])]),
        ],
        exception_handlers={KnownError: on_known},
    )


def build_started(names: Any) -> Any:
    """Build endpoints that fail after they have begun to answer."""

    async def fail_later(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        raise KnownError("too late") if scope["path"] == "/known" else UnknownError("too late")

    class App:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await fail_later(scope, receive, send)

    def on_known(request: Any, exc: Any) -> Any:
        return names.PlainTextResponse("never sent")

    return names.App(
        routes=[names.Route("/known", App()), names.Route("/unknown", App())],
        exception_handlers={KnownError: on_known},
    )


def build_reported(names: Any) -> Any:
    """Build endpoints that fail after they have answered, where everything is reported."""

    def report(request: Any, exc: Any) -> Any:
        names.notes.append(f"reported {exc!r}")
        return names.PlainTextResponse("sorry", status_code=500)

    def fail() -> None:
        raise UnknownError("in the background")

    async def chunks() -> Any:
        yield b"begun"
        raise UnknownError("in the stream")

    async def background(request: Any) -> Any:
        return names.PlainTextResponse("sent", background=names.BackgroundTask(fail))

    async def stream(request: Any) -> Any:
        return names.StreamingResponse(chunks())

    routes = [names.Route("/background", background), names.Route("/stream", stream)]
    limit = names.Middleware(names.RequestBodyLimitMiddleware, max_body_size=100)
    inner = names.App(routes=routes, middleware=[limit], exception_handlers={500: report})
    mount = names.Mount("/inner", app=inner)
    return names.App(routes=[*routes, mount], exception_handlers={Exception: report})


def build_refusing_middleware(names: Any) -> Any:
    """Build middleware that refuses requests as an endpoint does, and reads what is no JSON."""

    async def dispatch(request: Any, call_next: Any) -> Any:
        if request.url.path == "/json":
            await request.json()
        if request.url.path == "/after":
            await call_next(request)
        raise names.HTTPException(401, "Who?", {"WWW-Authenticate": "Basic"})

    async def endpoint(request: Any) -> Any:
        return names.PlainTextResponse("let in")

    return names.App(
        routes=[names.Route("/{any}", endpoint)],
        middleware=[names.Middleware(names.BaseHTTPMiddleware, dispatch=dispatch)],
        exception_handlers={401: lambda _, exc: names.JSONResponse(exc.detail, exc.status_code)},
    )


def build_wrong_return(names: Any) -> Any:
    """Build endpoints and handlers that return nothing."""

    async def nothing(request: Any) -> Any:
        return None

    async def raise_known(request: Any) -> Any:
        raise KnownError

    async def handle_silently(request: Any, exc: Any) -> Any:
        return None

    return names.App(
        routes=[names.Route("/nothing", nothing), names.Route("/silent", raise_known)],
        exception_handlers={KnownError: handle_silently},
    )


def _requests(prefix: str = "") -> tuple[Request, ...]:
    return (*(Request(prefix + path) for path in PATHS), Request(prefix + "/teapot", "POST"))


HTML = Request("/unknown", label="as html").with_headers(("accept", "text/html,*/*"))
CASES = (
    Case("no handlers", build_plain, _requests()),
    Case("handlers", build_handled, _requests()),
    Case("handlers of base classes", build_exception_handler, _requests()),
    Case("debug", build_debug, (Request("/unknown"), HTML, Request("/teapot"))),
    Case(
        "mounted handlers",
        build_mounted,
        (
            *(
                Request(prefix + path)
                for prefix in ("/inner", "/bare", "/routes")
                for path in ("/known", "/unknown", "/teapot", "/missing")
            ),
            *(Socket(f"{prefix}/socket") for prefix in ("/inner", "/bare", "/routes")),
            *(
                kind(path, headers=(("host", host),), label=host)
                for host in ("inner.example.org", "bare.example.org")
                for kind, path in ((Request, "/known"), (Socket, "/socket"))
            ),
        ),
    ),
    Case(
        "same request in handlers",
        build_same_request,
        tuple(Request(path, "POST", body=(b"bo", b"dy")) for path in ("/", "/around", "/m/x")),
    ),
    Case("started answers", build_started, (Request("/known"), Request("/unknown"))),
    Case(
        "reported failures",
        build_reported,
        tuple(
            Request(prefix + path)
            for prefix in ("", "/inner")
            for path in ("/background", "/stream")
        ),
    ),
    Case(
        "refusing middleware",
        build_refusing_middleware,
        (Request("/before"), Request("/after"), Request("/json", body=(b"{",))),
    ),
    Case("no answer", build_wrong_return, (Request("/nothing"), Request("/silent"))),
)
