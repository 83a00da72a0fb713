"""Middleware and body limits of every level at once: application, mount, router, host, route."""

from __future__ import annotations

from typing import Any

from tests.compat.harness import Case, Request


class Note:
    """Middleware that notes what passes it, and whether a body can still be read below it."""

    def __init__(self, app: Any, notes: list[str], name: str) -> None:
        self.app = app
        self.notes = notes
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.notes.append(f"{self.name} {scope['type']} {scope.get('root_path')} {scope['path']}")
        try:
            await self.app(scope, receive, send)
        finally:
            self.notes.append(f"out of {self.name}")


def build_levels(names: Any) -> Any:
    """Build each kind of level around the same endpoint, with limits that grow and shrink."""

    async def read(request: Any) -> Any:
        return names.PlainTextResponse(f"read {len(await request.body())}")

    def around(name: str) -> list[Any]:
        return [names.Middleware(Note, names.notes, f"{name} {number}") for number in (1, 2)]

    def route(path: str, **options: Any) -> Any:
        return names.Route(path, read, methods=["GET", "POST"], **options)

    def level(prefix: str, inner: list[Any], limit: int | None) -> Any:
        return names.Mount(prefix, routes=inner, middleware=around(prefix), max_body_size=limit)

    router = names.Router(
        routes=[route("/plain"), route("/wide", max_body_size=30)],
        middleware=around("router"),
        max_body_size=8,
    )
    return names.App(
        routes=[
            level("/small", [route("/plain"), route("/wide", max_body_size=30)], 5),
            level("/large", [route("/plain"), route("/narrow", max_body_size=5)], 20),
            level("/deep", [level("/down", [route("/x", max_body_size=12)], 3)], 20),
            level("/none", [route("/plain", middleware=around("route"))], None),
            names.Mount("/router", app=router, max_body_size=20, middleware=around("mount")),
            names.Mount("/app", app=names.App(routes=[route("/plain")], max_body_size=15)),
            names.Host("limited.org", app=router),
            route("/both", middleware=around("route"), max_body_size=4),
        ],
        middleware=around("app"),
        max_body_size=10,
    )


_PATHS = (
    *("/small/plain", "/small/wide", "/large/plain", "/large/narrow", "/deep/down/x"),
    *("/none/plain", "/router/plain", "/router/wide", "/app/plain", "/both"),
)
_SIZES = (3, 5, 9, 12, 16, 25)

CASES = (
    Case(
        "levels",
        build_levels,
        (
            *(
                Request(path, "POST", body=(b"x" * size,), label=f"{size} bytes")
                for path in _PATHS
                for size in _SIZES
            ),
            *(
                Request(path, "POST", body=(b"x" * 3, b"x" * 9), label="declared").with_headers(
                    ("content-length", "12")
                )
                for path in _PATHS
            ),
            *(
                Request(path, method)
                for path in ("/small/plain", "/both", "/router/plain", "/small/none", "/router")
                for method in ("HEAD", "OPTIONS", "DELETE")
            ),
            *(
                Request(
                    path,
                    "POST",
                    headers=(("host", "limited.org"),),
                    body=(b"x" * 9,),
                    label="by host",
                )
                for path in ("/plain", "/wide", "/none")
            ),
        ),
    ),
)
