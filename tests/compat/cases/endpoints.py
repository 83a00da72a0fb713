"""Class-based endpoints, and the schema of their methods."""

from __future__ import annotations

from typing import Any

from tests.compat.harness import Case, Request, Socket


def build_pages(names: Any) -> Any:
    """Build classes with some of the methods, below an application and alone."""

    class Page(names.HTTPEndpoint):  # type: ignore[misc]  # of either library
        async def get(self, request: Any) -> Any:
            return names.PlainTextResponse(f"get {request.path_params}")

        def post(self, request: Any) -> Any:
            raise names.HTTPException(409, "sync")

        async def query(self, request: Any) -> Any:
            body = await request.body()
            work = names.BackgroundTask(names.notes.append, "done")
            return names.PlainTextResponse(b"query " + body, background=work)

    class Own(Page):
        async def head(self, request: Any) -> Any:
            return names.Response(headers={"x-own": "1"})

        async def method_not_allowed(self, request: Any) -> Any:
            return names.PlainTextResponse(f"no {request.method}", 405)

        async def delete(self, request: Any) -> Any:
            raise KeyError("delete")

    return names.App(
        routes=[
            names.Route("/page/{name}", Page),
            names.Route("/own", Own),
            names.Route("/some", Page, methods=["GET"]),
            names.Mount("/bare", Page),
            names.WebSocketRoute("/page/{name}", Page),
        ]
    )


def build_sockets(names: Any) -> Any:
    """Build a class for each encoding, and some that do as they like."""

    class Echo(names.WebSocketEndpoint):  # type: ignore[misc]  # of either library
        async def on_receive(self, websocket: Any, data: Any) -> None:
            names.notes.append(f"{type(data).__name__} {data!r}")
            await websocket.send_json(str(data))

        async def on_disconnect(self, websocket: Any, close_code: int) -> None:
            names.notes.append(f"closed {close_code}")

    class Refusing(Echo):
        async def on_connect(self, websocket: Any) -> None:
            await websocket.close(4000)

    class Failing(Echo):
        async def on_receive(self, websocket: Any, data: Any) -> None:
            raise KeyError(data)

    class Leaving(Echo):
        async def on_receive(self, websocket: Any, data: Any) -> None:
            raise names.WebSocketException(4001, "enough")

    class Plain(names.WebSocketEndpoint):  # type: ignore[misc]  # of either library
        pass

    classes = {
        each: type(each.title(), (Echo,), {"encoding": each}) for each in ("text", "bytes", "json")
    }
    classes |= {"any": Echo, "refusing": Refusing, "failing": Failing, "leaving": Leaving}
    classes["plain"] = Plain
    return names.App(
        routes=[names.WebSocketRoute(f"/{key}", each) for key, each in classes.items()]
    )


def build_listing(names: Any) -> Any:
    """Build an application that lists its endpoints as a schema has them."""

    async def show(request: Any) -> Any:
        found = names.SchemaGenerator({}).get_endpoints(request.app.routes)
        text = [f"{each.http_method} {each.path} {each.func.__name__}" for each in found]
        return names.JSONResponse(sorted(text))

    class Page(names.HTTPEndpoint):  # type: ignore[misc]  # of either library
        get = post = query = trace = show

    return names.App(
        routes=[
            names.Route("/", show, methods=["GET", "PUT"]),
            names.Route("/hidden", show, include_in_schema=False),
            names.Route("/page/{id:int}/{x}", Page),
            names.Mount("/m/{tenant:str}", routes=[names.Route("/{rest:path}", show)]),
            names.Mount("/app", app=show),
            names.Host("a.example.org", names.Router([names.Route("/host", show)])),
            names.WebSocketRoute("/socket", show),
        ]
    )


CASES = (
    Case(
        "http endpoints",
        build_pages,
        tuple(
            Request(path, method, body=(b"body",))
            for path in ("/page/a", "/own", "/some", "/bare/x")
            for method in ("GET", "HEAD", "POST", "QUERY", "DELETE", "TRACE")
        ),
    ),
    Case(
        "websocket endpoints",
        build_sockets,
        (
            Socket("/text", frames=("a", "b")),
            Socket("/text", frames=(b"a",), label="bytes"),
            Socket("/bytes", frames=(b"a",)),
            Socket("/bytes", frames=("a",), label="text"),
            Socket("/json", frames=('{"a": [1]}', b"1")),
            Socket("/json", frames=("{",), label="no json"),
            Socket("/any", frames=("a", b"a", "")),
            Socket("/refusing"),
            Socket("/failing", frames=("a",)),
            Socket("/leaving", frames=("a",)),
            Socket("/plain", frames=("a", b"b")),
        ),
    ),
    Case("schema endpoints", build_listing, (Request("/"),)),
)
