"""Authentication: users, scopes, and `requires` around every kind of endpoint."""

from __future__ import annotations

import functools
from typing import Any, Final

from tests.compat.harness import Case, Request, Socket


def build_backend(names: Any) -> Any:
    """Return a backend that believes what the header says."""

    class Backend(names.AuthenticationBackend):  # type: ignore[misc]
        async def authenticate(self, conn: Any) -> Any:
            field = conn.headers.get("authorization")
            if field is None:
                return None
            if field == "bad":
                raise names.AuthenticationError("Bad credentials")
            user, _, scopes = field.partition(" ")
            return names.AuthCredentials(scopes.split(",")), names.SimpleUser(user)

    return Backend()


def build_endpoints(names: Any) -> dict[str, Any]:
    """Return guarded endpoints of every kind."""

    async def note(request: Any) -> Any:
        user = request.user
        names.notes.append(f"{user.is_authenticated} {user.display_name} {user.identity}")
        return names.PlainTextResponse(",".join(request.auth.scopes))

    def sync(request: Any) -> Any:
        return names.PlainTextResponse("sync")

    async def more(prefix: str, request: Any) -> Any:
        return names.PlainTextResponse(prefix)

    return {
        "one": names.requires("read")(note),
        "both": names.requires(["read", "write"], status_code=404)(sync),
        "page": names.requires("read", redirect="login")(note),
        "anybody": names.requires([], redirect="login")(sync),
        "sync_page": names.requires("read", redirect="login")(sync),
        "lost": names.requires("read", redirect="nowhere")(note),
        "more": functools.partial(names.requires("read")(more), "prefix"),
    }


def build_app(options: dict[str, Any], names: Any) -> Any:
    """Build an application with all of them."""

    async def login(request: Any) -> Any:
        return names.PlainTextResponse(f"{request.user.is_authenticated}")

    async def socket(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.display_name)
        await websocket.close()

    endpoints = build_endpoints(names)
    return names.App(
        routes=[
            names.Route("/login/{x}", login, name="unused"),
            names.Route("/login", login, name="login"),
            *(names.Route(f"/{name}", endpoint) for name, endpoint in endpoints.items()),
            names.WebSocketRoute("/ws", names.requires("read")(socket)),
        ],
        middleware=[
            names.Middleware(names.AuthenticationMiddleware, build_backend(names), **options)
        ],
    )


def build_with_page(names: Any) -> Any:
    """Build the application with an error page of its own."""

    def on_error(conn: Any, exc: Any) -> Any:
        names.notes.append(f"{conn.url} {exc}")
        return names.PlainTextResponse("own page", status_code=401)

    return build_app({"on_error": on_error}, names)


_FIELDS: Final = {"": None, "reader": "ada read", "writer": "ada write,read", "bad": "bad"}


def vary(request: Request) -> tuple[Request, ...]:
    """Return the request as each user sends it."""
    return tuple(
        type(request)(**{**vars(request), "label": label}).with_headers(
            *(() if field is None else (("authorization", field),))
        )
        for label, field in _FIELDS.items()
    )


_PATHS: Final = ("one", "both", "page", "anybody", "sync_page", "lost", "more", "login")
_REQUESTS: Final = (
    *(each for path in _PATHS for each in vary(Request(f"/{path}"))),
    *vary(Request("/page", query="a=b&c=%20/d")),
    *vary(Request("/page", root_path="/app", query="prefixed")),
    *vary(Socket("/ws")),
)

CASES = (
    Case("authentication", functools.partial(build_app, {}), _REQUESTS),
    Case(
        "authentication with a page",
        build_with_page,
        (*vary(Request("/one")), *vary(Socket("/ws"))),
    ),
)
