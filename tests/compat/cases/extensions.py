"""What other people's code does to applications: subclasses, and parts replaced from outside."""

from __future__ import annotations

import functools
from typing import Any

from tests.compat.harness import Case, Request


def build_routers(names: Any) -> dict[str, Any]:
    """Return routers that differ from the usual one in one method each."""

    class NotFound(names.Router):  # type: ignore[misc]
        async def not_found(self, scope: Any, receive: Any, send: Any) -> None:
            await names.PlainTextResponse("own not_found", status_code=404)(scope, receive, send)

    class Call(names.Router):  # type: ignore[misc]
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            names.notes.append("own __call__")
            await super().__call__(scope, receive, send)

    class Inner(names.Router):  # type: ignore[misc]
        async def app(self, scope: Any, receive: Any, send: Any) -> None:
            names.notes.append("own app")
            await super().app(scope, receive, send)

    async def default(scope: Any, receive: Any, send: Any) -> None:
        await names.PlainTextResponse("own default", status_code=410)(scope, receive, send)

    async def endpoint(request: Any) -> Any:
        return names.PlainTextResponse("endpoint")

    routes = [names.Route("/", endpoint), names.Route("/{x:int}", endpoint)]
    routers = {name.__name__: name(routes) for name in (NotFound, Call, Inner)}
    routers["Default"] = names.Router(routes, default=default)
    routers["Plain"] = names.Router(routes)
    return routers


def build_with_router(kind: str, names: Any) -> Any:
    """Build an application whose router is replaced."""
    app = names.App()
    app.router = build_routers(names)[kind]
    return app


def build_with_mounts(names: Any) -> Any:
    """Build an application with all of the routers mounted."""
    routers = build_routers(names)
    return names.App(routes=[names.Mount("/" + name, app=each) for name, each in routers.items()])


def build_replaced_apps(names: Any) -> Any:
    """Build routes whose `app` is wrapped or replaced after they were made."""

    async def endpoint(request: Any) -> Any:
        return names.PlainTextResponse("endpoint")

    async def replacement(scope: Any, receive: Any, send: Any) -> None:
        await names.PlainTextResponse("replaced")(scope, receive, send)

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("after the start")

    routes = {name: names.Route("/" + name, endpoint) for name in ("replaced", "failing")}
    routes["replaced"].app = replacement
    routes["failing"].app = failing
    for template in ("/wrapped", "/{x}/wrapped"):
        routes[template] = names.Route(template, endpoint)
        routes[template].app = wrap(names, routes[template].app)
    routes["object"] = names.Route("/object", endpoint)
    routes["object"].app = Wrapper(names, routes["object"].app)

    class OwnApp(names.Route):  # type: ignore[misc]
        app: Any

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.app = wrap(names, self.app)

    routes["subclass"] = OwnApp("/subclass", endpoint)
    return names.App(routes=list(routes.values()))


def wrap(names: Any, app: Any) -> Any:
    """Wrap an application as careful people do: the wrapper takes over name and attributes."""

    @functools.wraps(app)
    async def wrapper(scope: Any, receive: Any, send: Any) -> None:
        names.notes.append("wrapper")
        await app(scope, receive, send)

    return wrapper


class Wrapper:
    """An application around another, with attributes whose names mean nothing to the framework."""

    def __init__(self, names: Any, app: Any) -> None:
        self.names = names
        self.app = app

    async def handler(self, request: Any) -> Any:
        return self.names.PlainTextResponse("nobody asked this method")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.names.notes.append("object")
        await self.app(scope, receive, send)


def build_endpoint_objects(names: Any) -> Any:
    """Build routes to ASGI objects, one with attributes that sound like those of a handler."""

    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await names.PlainTextResponse("plain")(scope, receive, send)

    return names.App(
        routes=[
            names.Route("/object", Wrapper(names, plain)),
            names.Route("/get", Wrapper(names, plain), methods=["GET"]),
            names.Route("/{x}/get", Wrapper(names, plain), methods=["GET"]),
        ]
    )


def build_replaced_stack(names: Any) -> Any:
    """Build an application whose router has its stack wrapped from outside."""

    async def endpoint(request: Any) -> Any:
        return names.PlainTextResponse("endpoint")

    app = names.App(routes=[names.Route("/", endpoint)])
    app.router.middleware_stack = wrap(names, app.router.middleware_stack)
    return app


def build_subclass(names: Any) -> Any:
    """Build a subclass of the application that does something around each request."""

    class Mine(names.App):  # type: ignore[misc]
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            names.notes.append(f"before {scope['path']}")
            await super().__call__(scope, receive, send)
            names.notes.append("after")

        def build_middleware_stack(self) -> Any:
            return wrap(names, super().build_middleware_stack())

    async def endpoint(request: Any) -> Any:
        return names.PlainTextResponse(type(request.app).__name__)

    async def broken(request: Any) -> Any:
        raise names.HTTPException(403)

    return Mine(routes=[names.Route("/", endpoint), names.Route("/broken", broken)])


ROUTER_KINDS = ("NotFound", "Call", "Inner", "Default", "Plain")
PATHS = ("/", "/7", "/missing")
CASES = (
    *(
        Case(
            f"router {kind}",
            functools.partial(build_with_router, kind),
            tuple(Request(path) for path in PATHS),
        )
        for kind in ROUTER_KINDS
    ),
    Case(
        "mounted routers",
        build_with_mounts,
        tuple(Request(f"/{kind}{path}") for kind in ROUTER_KINDS for path in PATHS),
    ),
    Case(
        "replaced apps",
        build_replaced_apps,
        tuple(
            Request(path)
            for path in ("/replaced", "/wrapped", "/1/wrapped", "/object", "/subclass", "/failing")
        ),
    ),
    Case(
        "endpoint objects",
        build_endpoint_objects,
        tuple(Request(path) for path in ("/object", "/get", "/1/get")),
    ),
    Case("replaced stack", build_replaced_stack, (Request("/"), Request("/missing"))),
    Case(
        "subclassed application",
        build_subclass,
        (Request("/"), Request("/broken"), Request("/missing")),
    ),
)
