"""What is around an endpoint: middleware in its places, body limits, threads."""

from __future__ import annotations

import contextvars
import functools
import threading
from typing import Any

from tests.compat.harness import Case, Request


async def send_marked(send: Any, name: str, message: Any) -> None:
    """Send a message, with a mark in the header fields."""
    if message["type"] == "http.response.start":
        mark = (b"x-passed", name.encode())
        message = {**message, "headers": [*message["headers"], mark]}
    await send(message)


def build_note_class(names: Any) -> Any:
    """Return a pure ASGI middleware that notes when it is entered and left."""

    class Note:
        def __init__(self, app: Any, name: str, *, short: bool = False, fail: bool = False) -> None:
            self.app = app
            self.name = name
            self.short = short
            self.fail = fail

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            names.notes.append(f"{self.name} in, route {getattr(scope.get('route'), 'path', None)}")
            if self.short:
                await names.PlainTextResponse(f"answered by {self.name}")(scope, receive, send)
                return
            if self.fail:
                raise ValueError(f"{self.name} failed")

            try:
                await self.app(scope, receive, functools.partial(send_marked, send, self.name))
            finally:
                names.notes.append(f"{self.name} out")

    return Note


def build_stack(names: Any) -> Any:
    """Build an application with middleware in every place that takes some."""
    note = build_note_class(names)

    async def endpoint(request: Any) -> Any:
        names.notes.append("endpoint")
        return names.PlainTextResponse("answer")

    async def broken(request: Any) -> Any:
        raise ValueError("broken")

    async def refused(request: Any) -> Any:
        raise names.HTTPException(403)

    around = functools.partial(names.Middleware, note)
    routes = [
        names.Route("/", endpoint),
        names.Route("/route", endpoint, middleware=[around("r1"), around("r2")]),
        names.Route("/route-refused", refused, middleware=[around("r1")]),
        names.Route("/short", endpoint, middleware=[around("r1", short=True), around("r2")]),
        names.Route("/fail", endpoint, middleware=[around("r1", fail=True)]),
        names.Route("/broken", broken, middleware=[around("r1")]),
        names.Route("/refused", refused),
        names.Mount("/mount", routes=[names.Route("/x", endpoint)], middleware=[around("m1")]),
        names.Mount(
            "/router",
            app=names.Router(routes=[names.Route("/x", endpoint)], middleware=[around("ro1")]),
        ),
    ]
    app = names.App(routes=routes, middleware=[around("a1"), names.Middleware(note, name="a2")])
    app.add_middleware(note, "added first")
    app.add_middleware(note, name="added second")
    return app


def build_late(names: Any) -> Any:
    """Build an application that is changed after it has started."""
    note = build_note_class(names)

    async def endpoint(request: Any) -> Any:
        try:
            request.app.add_middleware(note, "late")
        except RuntimeError as exc:
            return names.PlainTextResponse(f"RuntimeError: {exc}")
        return names.PlainTextResponse("added")

    async def added(request: Any) -> Any:
        return names.PlainTextResponse("was added")

    async def grow(request: Any) -> Any:
        request.app.add_route("/later", added)
        request.app.router.routes.insert(0, names.Route("/", added))
        request.app.mount("/mounted", names.Router([names.Route("/x", added)]))
        return names.PlainTextResponse(str(len(request.app.routes)))

    return names.App(routes=[names.Route("/", endpoint), names.Route("/grow", grow)])


def build_failing_stack(names: Any) -> Any:
    """Build an application whose middleware fails or answers itself."""
    note = build_note_class(names)

    async def endpoint(request: Any) -> Any:
        return names.PlainTextResponse("never")

    def on_value_error(request: Any, exc: Any) -> Any:
        return names.PlainTextResponse("handled", status_code=422)

    return names.App(
        routes=[names.Route("/", endpoint)],
        middleware=[names.Middleware(note, "outer"), names.Middleware(note, "inner", fail=True)],
        exception_handlers={ValueError: on_value_error},
    )


VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def build_threads(names: Any) -> Any:
    """Build sync handlers: functions, partials, methods, with context variables."""
    main = threading.current_thread()

    class SetVariable:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            VARIABLE.set("from middleware")
            await self.app(scope, receive, send)

    def sync(request: Any) -> Any:
        return names.JSONResponse(
            {"same thread": threading.current_thread() is main, "variable": VARIABLE.get()}
        )

    def with_argument(text: str, request: Any) -> Any:
        return names.PlainTextResponse(text)

    async def async_argument(text: str, request: Any) -> Any:
        return names.PlainTextResponse("async " + text)

    class Controller:
        def sync(self, request: Any) -> Any:
            return names.PlainTextResponse("sync method")

        async def coroutine(self, request: Any) -> Any:
            return names.PlainTextResponse("async method")

    endpoints = {
        "/sync": sync,
        "/partial": functools.partial(with_argument, "partial"),
        "/async-partial": functools.partial(functools.partial(async_argument), "partial"),
        "/method": Controller().sync,
        "/async-method": Controller().coroutine,
    }
    return names.App(
        routes=[names.Route(path, each, name=path) for path, each in endpoints.items()],
        middleware=[names.Middleware(SetVariable)],
    )


def build_limits(names: Any) -> Any:
    """Build body limits of the application, of routes, of a mount and of a router."""

    async def read(request: Any) -> Any:
        return names.PlainTextResponse(f"read {len(await request.body())}")

    async def ignore(request: Any) -> Any:
        return names.PlainTextResponse("did not read")

    async def stream(request: Any) -> Any:
        async for chunk in request.stream():
            names.notes.append(f"chunk of {len(chunk)}")
        return names.PlainTextResponse("streamed")

    async def caught(request: Any) -> Any:
        try:
            await request.body()
        except names.HTTPException as exc:
            return names.PlainTextResponse(f"caught {exc.status_code}", status_code=413)
        return names.PlainTextResponse("read")

    def routes(**options: Any) -> list[Any]:
        endpoints = {"/read": read, "/ignore": ignore, "/stream": stream, "/caught": caught}
        return [
            names.Route(path, each, methods=["POST"], **options) for path, each in endpoints.items()
        ]

    up = [
        names.Route("/up" + route.path, route.endpoint, methods=["POST"], max_body_size=20)
        for route in routes()
    ]
    down = [
        names.Route("/down" + route.path, route.endpoint, methods=["POST"], max_body_size=5)
        for route in routes()
    ]
    return names.App(
        routes=[
            *routes(),
            *up,
            *down,
            names.Mount("/mount", routes=routes(), max_body_size=20),
            names.Mount("/router", app=names.Router(routes=routes(), max_body_size=5)),
        ],
        max_body_size=10,
    )


def _list_bodies(path: str) -> tuple[Request, ...]:
    def post(label: str, *chunks: bytes, declared: str | None = None) -> Request:
        request = Request(path, "POST", body=chunks, label=label)
        return request if declared is None else request.with_headers(("content-length", declared))

    return (
        post("at the limit", b"x" * 10, declared="10"),
        post("declared too long", b"x" * 11, declared="11"),
        post("chunked at the limit", b"x" * 5, b"x" * 5),
        post("chunked too long", b"x" * 6, b"x" * 6),
        post("longer than declared", b"x" * 6, b"x" * 6, declared="6"),
        post("shorter than declared", b"x" * 3, declared="30"),
        post("not a number", b"x" * 3, declared="abc"),
        post("empty", b"", declared="0"),
        post("far too long", b"x" * 30, declared="30"),
    )


CASES = (
    Case(
        "middleware",
        build_stack,
        tuple(
            Request(path)
            for path in (
                *("/", "/route", "/route-refused", "/short", "/fail", "/broken", "/refused"),
                *("/mount/x", "/router/x", "/missing", "/mount/missing"),
            )
        ),
    ),
    Case("failing middleware", build_failing_stack, (Request("/"),)),
    Case("changes after the start", build_late, (Request("/"), Request("/grow"))),
    Case(
        "sync handlers",
        build_threads,
        tuple(
            Request(path)
            for path in ("/sync", "/partial", "/async-partial", "/method", "/async-method")
        ),
    ),
    Case(
        "body limits",
        build_limits,
        tuple(
            request
            for prefix in ("", "/up", "/down", "/mount", "/router")
            for kind in ("/read", "/ignore", "/stream", "/caught")
            for request in _list_bodies(prefix + kind)
        ),
    ),
)
