"""Routing: templates, convertors, methods, redirects, mounts, URLs."""

from __future__ import annotations

import json
from typing import Any

from tests.compat.harness import Case, Request


def build_echo(names: Any) -> Any:
    """Return an endpoint that answers with what routing told it."""

    async def echo(request: Any) -> Any:
        scope = request.scope
        content = {
            "route": scope["route"].path,
            "params": {name: repr(value) for name, value in request.path_params.items()},
            "root_path": scope["root_path"],
            "app_root_path": scope.get("app_root_path", "-"),
            "path": scope["path"],
            "url": str(request.url),
            "base_url": str(request.base_url),
            "endpoint": scope["endpoint"].__name__,
        }
        return names.JSONResponse(content)

    return echo


def build_templates(names: Any) -> Any:
    """Build one route for each kind of template."""

    class HexConvertor(names.Convertor):  # type: ignore[misc]
        regex = "[0-9a-f]+"

        def convert(self, value: str) -> int:
            return int(value, 16)

        def to_string(self, value: int) -> str:
            return f"{value:x}"

    names.register_url_convertor("hexa", HexConvertor())
    echo = build_echo(names)
    templates = (
        "/",
        "/static",
        "/users/{id:int}",
        "/users/me",
        "/users/{name}",
        "/price/{amount:float}",
        "/objects/{key:uuid}",
        "/files/{rest:path}",
        "/download/{rest:path}/raw",
        "/mixed/{stem}.{suffix}",
        "/v{major:int}/x",
        "/colour/{value:hexa}",
        "/slash/",
        "/noslash",
        "/empty//segment",
        "/ünï/{x}",
    )
    return names.App(routes=[names.Route(template, echo) for template in templates])


_TEMPLATE_PATHS = (
    "/",
    "/static",
    "/users/12",
    "/users/0012",
    "/users/me",
    "/users/joe",
    "/users/-1",
    "/users/٣",
    "/users/a b",
    "/users/",
    "/users",
    "/price/1",
    "/price/1.25",
    "/price/1.",
    "/price/x",
    "/objects/8f14e45f-ceea-467f-a0e6-6b3d9c1d2f3a",
    "/objects/8F14E45FCEEA467FA0E66B3D9C1D2F3A",
    "/objects/8f14",
    "/files/",
    "/files",
    "/files/a/b.txt",
    "/files//etc",
    "/download/a/b/raw",
    "/download/raw",
    "/mixed/a.b",
    "/mixed/a.b.c",
    "/mixed/.b",
    "/v12/x",
    "/vx/x",
    "/colour/ff",
    "/colour/fg",
    "/slash/",
    "/slash",
    "/noslash",
    "/noslash/",
    "/empty//segment",
    "/empty/segment",
    "/ünï/ß",
    "/other",
    "/other/",
    "/a/b/c",
    "//static",
    "/%zz",
)


def build_methods(names: Any) -> Any:
    """Build routes that differ in their methods."""
    echo = build_echo(names)

    def sync_echo(request: Any) -> Any:
        return names.PlainTextResponse(f"sync {request.method}")

    class Callable:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await names.PlainTextResponse("callable")(scope, receive, send)

    return names.App(
        routes=[
            names.Route("/get", echo),
            names.Route("/post", echo, methods=["post"]),
            names.Route("/both", echo, methods=["GET", "POST"]),
            names.Route("/split", echo, methods=["PUT"]),
            names.Route("/split", sync_echo, methods=["DELETE"]),
            names.Route("/sync", sync_echo, methods=["GET", "PURGE"]),
            names.Route("/callable", Callable()),
        ]
    )


_METHOD_REQUESTS = tuple(
    Request(path, method)
    for path in ("/get", "/post", "/both", "/split", "/sync", "/callable", "/none")
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PURGE")
)


def build_mounts(names: Any) -> Any:
    """Build mounts of routes, of an application, of plain ASGI, nested and with parameters."""
    echo = build_echo(names)

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        seen = {key: scope[key] for key in ("path", "root_path", "path_params", "app_root_path")}
        await names.PlainTextResponse(json.dumps(seen))(scope, receive, send)

    inner = [
        names.Route("/", echo, name="index"),
        names.Route("/item/{id:int}", echo, name="item"),
        names.Route("/dir/", echo),
    ]
    return names.App(
        routes=[
            names.Mount("/routes", routes=inner, name="routes"),
            names.Mount("/app", app=names.App(routes=inner), name="app"),
            names.Mount("/plain/", app=plain),
            names.Mount("/t/{tenant}/{id:int}", routes=[names.Route("/{id}", echo)]),
            names.Mount("/deep", routes=[names.Mount("/er", routes=inner, name="er")], name="deep"),
            names.Mount("/exact", routes=[names.Route("/", echo)]),
            names.Route("/routes/late", echo),
        ]
    )


def build_overlaps(names: Any) -> Any:
    """Build routes that cover each other, and a mount at the root behind them."""
    echo = build_echo(names)
    return names.App(
        routes=[
            names.Route("/{any}", echo, methods=["POST"], name="any"),
            names.Route("/static", echo),
            names.Route("/{a}/{b}", echo),
            names.Route("/static/late", echo),
            names.Route("/{a:int}/x/{c}", echo),
            names.Route("/{a}/x/{c}", echo),
            names.Mount("", routes=[names.Route("/last", echo), names.Route("/a/b/c", echo)]),
            names.Route("/behind/the/mount", echo),
        ]
    )


_OVERLAPS = (
    *(("GET", path) for path in ("/static", "/static/late", "/1/x/2", "/one/x/2", "/a/b/c")),
    *(("POST", path) for path in ("/static", "/static/late", "/last", "/other")),
    *(("GET", path) for path in ("/last", "/last/", "/other", "/behind/the/mount", "/static/")),
)


_MOUNT_PATHS = (
    "/routes",
    "/routes/",
    "/routes/item/7",
    "/routes/item/x",
    "/routes/dir",
    "/routes/dir/",
    "/routes/late",
    "/routesx",
    "/app",
    "/app/",
    "/app/item/7",
    "/app/missing",
    "/app/dir",
    "/plain",
    "/plain/",
    "/plain/x/y",
    "/t/acme/1/9",
    "/t/acme/x/9",
    "/t/acme/1",
    "/deep/er/item/3",
    "/deep/er",
    "/deep/er/dir",
    "/exact",
    "/exact/",
    "/nowhere",
)
_PREFIXED = tuple(
    Request(path, root_path="/api", label="below /api")
    for path in (
        "/api/routes/item/7",
        "/routes/item/7",
        "/api/app/",
        "/api/deep/er/item/3",
        "/apix",
    )
)


def build_urls(names: Any) -> Any:
    """Build an endpoint that reverses names, with the same routes on both sides."""
    reversals: tuple[tuple[str, dict[str, Any]], ...] = (
        ("home", {}),
        ("user", {"id": 7}),
        ("user", {"id": 0}),
        ("user", {"name": "x"}),
        ("user", {}),
        ("file", {"rest": "a/b c.txt"}),
        ("amount", {"x": 1.5}),
        ("amount", {"x": 0.1}),
        ("amount", {"x": 100.0}),
        ("swap", {"a": "{b}", "b": "2"}),
        ("m:item", {"id": 3}),
        ("m:missing", {}),
        ("m", {"path": "/x/y"}),
        ("t:item", {"tenant": "acme", "id": 1}),
        ("anonymous", {}),
        ("nope", {}),
    )

    async def report(request: Any) -> Any:
        lines = []
        for name, params in reversals:
            try:
                lines.append(
                    f"{request.url_for(name, **params)} {request.app.url_path_for(name, **params)}"
                )
            except names.NoMatchFound as exc:
                lines.append(f"NoMatchFound: {exc}")
        return names.PlainTextResponse("\n".join(lines))

    item = names.Route("/item/{id:int}", report, name="item")
    return names.App(
        routes=[
            names.Route("/", report, name="home"),
            names.Route("/users/{id:int}", report, name="user"),
            names.Route("/files/{rest:path}", report, name="file"),
            names.Route("/amount/{x:float}", report, name="amount"),
            names.Route("/{a}/and/{b}", report, name="swap"),
            names.Mount("/m", routes=[item, names.Route("/", report)], name="m"),
            names.Mount("/t/{tenant}", routes=[item], name="t"),
            names.Mount("/anon", routes=[names.Route("/here", report, name="anonymous")]),
        ]
    )


CASES = (
    Case("templates", build_templates, tuple(Request(path) for path in _TEMPLATE_PATHS)),
    Case(
        "templates with a query",
        build_templates,
        (Request("/slash", query="a=1&b=%20"), Request("/noslash/", query="x")),
    ),
    Case("methods", build_methods, _METHOD_REQUESTS),
    Case("mounts", build_mounts, (*(Request(path) for path in _MOUNT_PATHS), *_PREFIXED)),
    Case(
        "overlaps",
        build_overlaps,
        tuple(Request(path, method) for method, path in _OVERLAPS),
    ),
    Case(
        "urls",
        build_urls,
        (
            Request("/"),
            Request("/m/"),
            Request("/t/acme/item/5"),
            Request("/api/", root_path="/api", label="below /api"),
            Request("/api/m/", root_path="/api", label="below /api"),
            Request("/", scope=(("scheme", "https"),), label="https"),
            Request("/", headers=(("host", "example.org:8443"),), label="with port"),
            Request("/", headers=(), label="without host"),
        ),
    ),
    Case(
        "websocket without a route",
        build_urls,
        (Request("/", scope=(("type", "websocket"), ("subprotocols", []))),),
    ),
)
