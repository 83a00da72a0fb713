"""WebSockets: every call in every state, routing, hosts, errors, middleware, refusals."""

from __future__ import annotations

import json
from typing import Any

from tests.compat.harness import Case, Request, Socket


class KnownError(Exception):
    """An error that has a handler."""


def build_calls(names: Any) -> Any:
    """Build one endpoint for each way to use a WebSocket."""

    class Plain:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await names.WebSocketClose(4000, "plain")(scope, receive, send)

    endpoints = (*list_echoes(names), *list_misuses(names), *list_refusals(names))
    routes = [names.WebSocketRoute(f"/{each.__name__}", each) for each in endpoints]
    return names.App(routes=[*routes, names.WebSocketRoute("/plain", Plain())])


def list_echoes(names: Any) -> tuple[Any, ...]:
    """Return endpoints that receive and send."""

    async def echo_text(socket: Any) -> None:
        await socket.accept(subprotocol="chat", headers=[(b"x-a", b"1")])
        async for text in socket.iter_text():
            await socket.send_text(f"got {text}")
        names.notes.append(f"{socket.client_state} {socket.application_state}")

    async def echo_bytes(socket: Any) -> None:
        await socket.accept()
        async for data in socket.iter_bytes():
            await socket.send_bytes(data)

    async def echo_json(socket: Any) -> None:
        await socket.accept()
        async for value in socket.iter_json():
            await socket.send_json({"got": value})
            await socket.send_json([value], mode="binary")

    async def receive_all(socket: Any) -> None:
        await socket.accept()
        names.notes.append(repr(await socket.receive_json(mode="binary")))
        try:
            await socket.receive_text()
        except names.WebSocketDisconnect as exc:
            names.notes.append(f"{exc.code} {exc.reason}")
        await socket.receive()

    async def describe(socket: Any) -> None:
        await socket.accept()
        await socket.send_json(
            {
                "url": str(socket.url),
                "base_url": str(socket.base_url),
                "query": str(socket.query_params),
                "host": socket.headers["host"],
                "is mapping": socket["type"],
            }
        )
        await socket.close(1001)

    return echo_text, echo_bytes, echo_json, receive_all, describe


def list_misuses(names: Any) -> tuple[Any, ...]:
    """Return endpoints that call what has no place there."""

    async def early_frame(socket: Any) -> None:
        await socket.receive_text()

    async def early_send(socket: Any) -> None:
        await socket.send_text("too early")

    async def twice(socket: Any) -> None:
        await socket.accept()
        await socket.accept()

    async def wrong_mode(socket: Any) -> None:
        await socket.accept()
        await socket.send_json({}, mode="text?")

    async def wrong_code(socket: Any) -> None:
        await socket.accept()
        await socket.close(code=5000)

    return early_frame, early_send, twice, wrong_mode, wrong_code


def list_refusals(names: Any) -> tuple[Any, ...]:
    """Return endpoints that do not accept."""

    async def refuse(socket: Any) -> None:
        await socket.receive()
        await socket.close(code=4001, reason="not you")
        try:
            await socket.send_text("late")
        except names.WebSocketDisconnected as exc:
            names.notes.append(f"{isinstance(exc, RuntimeError)}")
        await socket.close()

    async def deny(socket: Any) -> None:
        await socket.send_denial_response(names.PlainTextResponse("no", status_code=402))
        names.notes.append(f"{socket.application_state}")

    async def deny_streaming(socket: Any) -> None:
        response = names.StreamingResponse(iter([b"n", b"o"]), status_code=429)
        await socket.send_denial_response(response)
        names.notes.append(f"{socket.application_state}")

    return refuse, deny, deny_streaming


CALLS = (
    Socket("/echo_text", frames=("a", "é")),
    Socket("/echo_text", frames=(b"a",), label="bytes"),
    Socket("/echo_bytes", frames=(b"a", b"")),
    Socket("/echo_bytes", frames=("a",), label="text"),
    Socket("/echo_json", frames=('{"a": [1, 2.5, null]}', '"é"')),
    Socket("/echo_json", frames=("{",), label="no json"),
    Socket("/echo_json", frames=("NaN",), label="nan"),
    Socket("/echo_json", frames=(b"1",), label="bytes"),
    Socket("/receive_all", frames=(b"[1]",)),
    Socket("/receive_all", frames=(b"\xff",), label="no utf-8"),
    *(Socket(path) for path in ("/early_frame", "/early_send", "/twice", "/refuse")),
    *(
        Socket(path)
        for path in ("/deny", "/deny_streaming", "/wrong_mode", "/wrong_code", "/plain")
    ),
    Socket("/deny", extensions=(), label="without the extension"),
    Socket("/describe", query="a=1&b=2"),
    Socket("/describe", root_path="/api", label="below /api"),
)


def make_socket(label: str) -> Any:
    """Return an endpoint that tells what routing found."""

    async def endpoint(socket: Any) -> None:
        scope = socket.scope
        await socket.accept()
        found = {
            "label": label,
            "params": {name: repr(value) for name, value in socket.path_params.items()},
            "root_path": scope["root_path"],
            "route": repr(scope["route"]),
            "endpoint": scope["endpoint"] is endpoint,
            "url_for": str(socket.url_for("room", id=3)),
        }
        await socket.send_text(json.dumps(found))
        await socket.close()

    return endpoint


def build_routing(names: Any) -> Any:
    """Build WebSocket routes beside HTTP routes, in mounts, behind hosts."""
    make = make_socket

    async def http(request: Any) -> Any:
        return names.PlainTextResponse("http")

    class Foreign(names.BaseRoute):  # type: ignore[misc]
        def __init__(self, path: str, match: Any) -> None:
            self.path = path
            self.match = match

        def matches(self, scope: Any) -> Any:
            return (self.match if scope["path"] == self.path else names.Match.NONE), {}

        def url_path_for(self, name: str, /, **path_params: Any) -> Any:
            raise names.NoMatchFound(name, path_params)

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await names.WebSocketClose(4002, "foreign")(scope, receive, send)

    sockets = names.WebSocketRoute
    inner = [sockets("/", make("index")), sockets("/{x}", make("inner"), name="inner")]
    return names.App(
        routes=[
            names.Route("/both", http),
            sockets("/both", make("both")),
            sockets("/rooms/{id:int}", make("room"), name="room"),
            sockets("/rooms/{name}", make("named")),
            sockets("/rooms/lobby", make("late")),
            Foreign("/partial", names.Match.PARTIAL),
            Foreign("/full", names.Match.FULL),
            sockets("/full", make("behind")),
            sockets("/files/{rest:path}", make("files")),
            sockets("/mixed/{a}.{b}", make("mixed")),
            sockets("/slash/", make("slash")),
            names.Route("/http", http, methods=["GET", "POST"]),
            names.Mount("/m/{tenant}", routes=inner, name="m"),
            names.Mount("/app", app=names.App(routes=inner)),
            names.Host("{sub}.example.org", app=names.Router(routes=inner)),
        ]
    )


_PATHS = (
    *("/both", "/rooms/7", "/rooms/x", "/rooms/lobby", "/partial", "/full", "/files/a/b"),
    *("/mixed/a.b", "/mixed/ab", "/slash/", "/slash", "/http", "/nowhere", "/", "/m/acme/"),
    *("/m/acme/x", "/m/acme", "/m/acme/x/y", "/app/x", "/app/x/y", "/rooms/", "//both"),
)
ROUTING = (
    *(Socket(path) for path in _PATHS),
    *(Request(path) for path in ("/both", "/rooms/7", "/full", "/slash", "/partial")),
    Request("/both", "websocket", label="by a method of that name"),
    Socket("/x", headers=(("host", "shop.example.org:8000"),), label="host"),
    Socket("/x", headers=(("host", "SHOP.Example.org"),), label="upper case host"),
    Socket("/both", headers=(("host", "shop.example.org"),), label="host"),
    Socket("/api/rooms/7", root_path="/api", label="below /api"),
)


def make_reverser(names: Any, label: str) -> Any:
    """Return an endpoint that turns names into URLs."""

    async def endpoint(request: Any) -> Any:
        reversed_ = []
        for name, params in REVERSALS:
            try:
                reversed_.append(str(request.url_for(name, **params)))
            except names.NoMatchFound as exc:
                reversed_.append(str(exc))
        return names.JSONResponse(
            {"label": label, "params": request.path_params, "reversed": reversed_}
        )

    return endpoint


def build_hosts(names: Any) -> Any:
    """Build applications by host."""

    def app(label: str) -> Any:
        endpoint = make_reverser(names, label)
        item = names.Route("/item/{id:int}", endpoint, name="item")
        return names.Router(routes=[names.Route("/", endpoint, name="index"), item])

    return names.App(
        routes=[
            names.Host("api.example.org", app=app("api"), name="api"),
            names.Host("{tenant}.example.org", app=app("tenant"), name="tenant"),
            names.Host("{n:int}.numbers.org", app=app("numbers")),
            names.Host("port.org:3600", app=app("port"), name="port"),
            names.Host("[::1]", app=app("six")),
            names.Route("/", make_reverser(names, "any host")),
        ]
    )


REVERSALS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("api:item", {"id": 1}),
    ("api", {"path": "/x"}),
    ("tenant:index", {"tenant": "a"}),
    ("tenant:item", {"tenant": "a", "id": 2}),
    ("tenant", {"tenant": "a", "path": "/x"}),
    ("tenant", {"path": "/x", "other": 1}),
    ("port:index", {}),
    ("index", {"n": 5}),
    ("nope", {}),
)
_HOSTS = (
    *("api.example.org", "API.Example.ORG:8000", "a.example.org", "a.b.example.org", "example.org"),
    *("7.numbers.org", "x.numbers.org", "port.org", "port.org:1", "[::1]:80", "[::2]", "bad host"),
    *("apixexample.org", "api.example.org.evil.com", ""),
)
HOSTS = (
    *(Request(headers=(("host", host),), label=host) for host in _HOSTS),
    Request(headers=(), label="without host"),
    Request("/item/3", headers=(("host", "a.example.org"),), label="host"),
    Request("/missing", headers=(("host", "a.example.org"),), label="host"),
    Request("/item/3/", headers=(("host", "a.example.org"),), label="host"),
    Request("/", "POST", headers=(("host", "a.example.org"),), label="host"),
)


def make_raiser(error: Exception, *, accepts: bool) -> Any:
    """Return an endpoint that raises, before or after it accepts."""

    async def endpoint(socket: Any) -> None:
        if accepts:
            await socket.accept()
        raise error

    return endpoint


class RaiseKnown:
    """Middleware, or an application, that raises."""

    def __init__(self, app: Any = None) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise KnownError("plain")


def build_errors(names: Any) -> Any:
    """Build routes that raise, handlers, and middleware that notes what passes."""

    async def on_known(socket: Any, exc: Exception) -> None:
        names.notes.append(type(socket).__name__)
        await socket.close(code=4100, reason=str(exc))

    class Note:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            names.notes.append(f"{scope['type']} in")
            await self.app(scope, receive, send)
            names.notes.append("out")

    routes = []
    errors = {
        "known": KnownError("known"),
        "unknown": ValueError("unknown"),
        "close": names.WebSocketException(4003, "closed"),
        "http": names.HTTPException(403, "refused"),
        "gone": names.WebSocketDisconnect(1001, "gone"),
    }
    for name, error in errors.items():
        for accepts in (False, True):
            path = f"/{'open' if accepts else 'early'}/{name}"
            endpoint = make_raiser(error, accepts=accepts)
            routes.append(names.WebSocketRoute(path, endpoint))
            around = [names.Middleware(Note)]
            routes.append(names.WebSocketRoute("/noted" + path, endpoint, middleware=around))
    around = [names.Middleware(Note), names.Middleware(RaiseKnown)]
    routes.append(names.WebSocketRoute("/raising", RaiseKnown(), middleware=around))
    routes.append(names.WebSocketRoute("/plain", RaiseKnown()))
    return routes, {KnownError: on_known}, Note


def build_bare_errors(names: Any) -> Any:
    """Build the application without middleware."""
    routes, handlers, _ = build_errors(names)
    return names.App(routes=routes, exception_handlers=handlers)


def build_wrapped_errors(names: Any) -> Any:
    """Build the application with middleware, a body limit, and its own handler for ours."""
    routes, handlers, note = build_errors(names)

    def on_close(socket: Any, exc: Any) -> None:
        names.notes.append(f"{exc.code} {exc.reason} {exc}")

    return names.App(
        routes=[names.Mount("/m", routes=routes), *routes],
        middleware=[names.Middleware(note)],
        exception_handlers={**handlers, names.WebSocketException: on_close},
        max_body_size=1,
    )


def build_middleware_only(names: Any) -> Any:
    """Build the exception middleware around a router, without an application."""
    routes, handlers, _ = build_errors(names)
    return names.ExceptionMiddleware(names.Router(routes=routes), handlers=handlers)


_ERROR_PATHS = tuple(
    f"{prefix}/{state}/{kind}"
    for prefix in ("", "/noted")
    for state in ("early", "open")
    for kind in ("known", "unknown", "close", "http", "gone")
)
ERRORS = tuple(Socket(path) for path in (*_ERROR_PATHS, "/raising", "/plain", "/none"))

CASES = (
    Case("websocket calls", build_calls, CALLS),
    Case("websocket routing", build_routing, ROUTING),
    Case("hosts", build_hosts, HOSTS),
    Case("websocket errors", build_bare_errors, ERRORS),
    Case(
        "websocket errors in a stack",
        build_wrapped_errors,
        (*ERRORS, Socket("/m/early/known"), Socket("/m/raising"), Socket("/m/none")),
    ),
    Case("websocket errors in middleware", build_middleware_only, ERRORS),
)
