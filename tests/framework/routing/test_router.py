"""The router beyond the choice of a route: changes, foreign routes, answers, the scope."""

from __future__ import annotations

from typing import Any

import pytest

from framework.applications import App
from framework.convertors import CONVERTOR_TYPES, Convertor, register_url_convertor
from framework.datastructures import URLPath
from framework.exceptions import HTTPException, NoMatchFound
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import BaseRoute, Match, Mount, Route, Router
from framework.types import Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.asgi import build_scope, call
from tests.framework.routing.driver import request as ask
from tests.framework.routing.endpoints import answer, fetch
from tests.framework.routing.reference import Outcome

pytestmark = pytest.mark.anyio


class QueryRoute(BaseRoute):
    """A route of another make: it looks at the query string."""

    def __init__(self, query: bytes, text: str) -> None:
        self.query = query
        self.text = text

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["query_string"] == self.query:
            return Match.FULL, {"endpoint": self, "path_params": {"seen": self.text}}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(f"{self.text} {scope['path_params']}")(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)


@pytest.mark.parametrize("path", ["/static", "/users/7", "/nowhere", "/"])
async def test_a_foreign_route_is_asked_in_its_turn(path: str) -> None:
    app = App(
        routes=[
            Route("/first", answer("first")),
            QueryRoute(b"x", "foreign"),
            Route("/static", answer("static")),
            Route("/users/{id:int}", answer("user")),
        ]
    )
    channel = await call(app, build_scope(path, query_string=b"x"))
    assert channel.body == b"foreign {'seen': 'foreign'}"
    channel = await call(app, build_scope("/first", query_string=b"x"))
    assert channel.body == b"first {}"
    channel = await call(app, build_scope(path, query_string=b""))
    assert not channel.body.startswith(b"foreign")


class Minimal(BaseRoute):
    """As little as a foreign route has to define."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.FULL, {}) if scope["path"] == "/minimal" else (Match.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("minimal")(scope, receive, send)


async def test_a_foreign_route_needs_no_name() -> None:
    app = App(routes=[Minimal(), Route("/a", answer("a"), name="a")])
    assert await fetch(app, "/minimal") == "200 minimal"
    assert await fetch(app, "/a") == "200 a {}"
    assert app.url_path_for("a") == "/a"


async def test_a_route_serves_alone() -> None:
    route = Route("/a/{x:int}", answer("alone"))
    assert await fetch(route, "/a/7") == "200 alone {'x': 7}"
    assert await fetch(route, "/b") == "404 Not Found"
    channel = await call(route, build_scope("/a/7", "POST"))
    assert (channel.status, channel.headers[b"allow"]) == (405, b"GET, HEAD")


@pytest.mark.parametrize("path", ["a", "foo/a", "*", "", "example.org:443"])
def test_a_path_without_a_leading_slash_matches_nothing(path: str) -> None:
    router = Router(
        [
            Route("/{x}", answer("any"), methods=["GET"]),
            Route("/{x}/{y}", answer("two")),
            Route("/a", answer("a")),
        ],
        redirect_slashes=False,
    )
    assert ask(router, path, "GET") == Outcome(404)
    assert ask(router, path, "POST") == Outcome(404)


class Yes(Convertor[bool]):
    """Matches more than it can convert."""

    regex = "[a-z]+"

    def convert(self, value: str) -> bool:
        if value not in {"yes", "no"}:
            raise ValueError(value)
        return value == "yes"

    def to_string(self, value: bool) -> str:
        return "yes" if value else "no"


@pytest.fixture
def convertor_types() -> Any:
    """Put the registered convertors back."""
    kept = dict(CONVERTOR_TYPES)
    yield CONVERTOR_TYPES
    CONVERTOR_TYPES.clear()
    CONVERTOR_TYPES.update(kept)


async def test_a_convertor_that_cannot_convert_does_not_match(convertor_types: Any) -> None:
    register_url_convertor("yes", Yes())
    app = App(routes=[Route("/{x:yes}", answer("yes")), Route("/{x}", answer("text"))])
    assert await fetch(app, "/no") == "200 yes {'x': False}"
    assert await fetch(app, "/maybe") == "200 text {'x': 'maybe'}"
    assert app.url_path_for("endpoint", x="maybe") == "/yes"


async def test_a_route_keeps_the_convertors_it_was_made_with(convertor_types: Any) -> None:
    original = convertor_types["str"]
    register_url_convertor("str", Yes())
    register_url_convertor("gone", Yes())
    app = App(routes=[Route("/{x}", answer("yes")), Route("/gone/{x:gone}", answer("gone"))])
    convertor_types["str"] = original
    del convertor_types["gone"]
    assert await fetch(app, "/yes") == "200 yes {'x': True}"
    assert await fetch(app, "/gone/no") == "200 gone {'x': False}"


def test_an_unknown_convertor_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'number' in '/\{x:number\}'; known are .*int.*uuid"):
        Route("/{x:number}", answer("x"))


def test_a_parameter_named_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Duplicated param name x at path /\{x\}/\{x\}"):
        Route("/{x}/{x}", answer("x"))
    with pytest.raises(ValueError, match="Duplicated param names x, y"):
        Route("/{x}/{y}/{x}/{y}", answer("x"))


@pytest.mark.parametrize("path", ["", "a", "{x}", "*"])
def test_a_route_without_a_leading_slash_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="must start with '/'"):
        Route(path, answer("x"))


def test_a_mount_needs_a_path_and_something_below() -> None:
    with pytest.raises(ValueError, match="must start with '/'"):
        Mount("static", routes=[])
    with pytest.raises(ValueError, match=r"Mount\('/x'\) needs app=... or routes=..."):
        Mount("/x")


@pytest.mark.parametrize(
    ("path", "query", "root_path", "location"),
    [
        ("/a", b"", "", b"/a/"),
        ("/a", b"x=1&y=%20", "", b"/a/?x=1&y=%20"),
        ("/b/c/", b"", "", b"/b/c"),
        ("/b/c///", b"", "", b"/b/c"),
        ("/r/a", b"", "/r", b"/r/a/"),
        ("/a", b"", "/r", b"/r/a/"),
        ("/a", b"", "/r/", b"/r/a/"),
        ("/a", b"", "/", b"/a/"),
        ("/é", b"", "", b"/%C3%A9/"),
        ("/50%", b"", "", b"/50%25/"),
        ("/a?b", b"", "", b"/a%3Fb/"),
        ("/a#b", b"", "", b"/a%23b/"),
        ("/a\\b", b"", "", b"/a%5Cb/"),
        ("/a\tb\r\n", b"", "", b"/a%09b%0D%0A/"),
        ("/a b", b"", "", b"/a%20b/"),
    ],
)
async def test_a_slash_redirect_stays_where_it_is(
    path: str, query: bytes, root_path: str, location: bytes
) -> None:
    router = Router([Route("/b/c", answer("c")), Route("/{x}/", answer("x"))])
    scope = build_scope(
        path, "GET", ("host", "evil.example"), query_string=query, root_path=root_path
    )
    channel = await call(router, scope)
    assert (channel.status, channel.headers[b"location"]) == (307, location)


@pytest.mark.parametrize(
    "path", ["//evil.example", "//evil.example/a", "///evil.example", "/\\evil.example", "//"]
)
async def test_a_redirect_never_leads_to_another_host(path: str) -> None:
    router = Router([Route("/{p:path}/", answer("p")), Route("/{p:path}/x", answer("p"))])
    channel = await call(router, build_scope(path))
    location = channel.headers.get(b"location", b"/")
    assert location.startswith(b"/")
    assert location[1:2] not in {b"/", b"\\"}


async def test_redirects_can_be_turned_off() -> None:
    router = Router([Route("/a/", answer("a"))], redirect_slashes=False)
    assert await fetch(router, "/a") == "404 Not Found"


async def test_a_default_answers_what_no_route_matches() -> None:
    router = Router([Route("/a", answer("a"))], default=PlainTextResponse("default", 418))
    assert await fetch(router, "/b") == "418 default"
    assert (await fetch(router, "/a", "POST")).startswith("405")


def test_405_allows_what_any_route_of_the_path_allows(client_factory: ClientFactory) -> None:
    app = App(
        routes=[
            Route("/x", answer("put"), methods=["PUT"]),
            Route("/{x}", answer("get")),
            Route("/{x:path}", answer("custom"), methods=["PURGE", "patch"]),
            Route("/other", answer("other"), methods=["DELETE"]),
        ]
    )
    with client_factory(app) as client:
        response = client.post("/x")
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, HEAD, PATCH, PURGE, PUT"
        assert response.text == "Method Not Allowed"
        assert client.request("PURGE", "/x").text == "custom {'x': 'x'}"


def test_handlers_see_405_and_404_with_their_headers(client_factory: ClientFactory) -> None:
    async def on_http(request: Request[Any], exc: HTTPException) -> Response:
        return PlainTextResponse(f"{exc.status_code} {exc.headers}", exc.status_code)

    app = App(
        routes=[Route("/x", answer("x")), Mount("/m", routes=[Route("/y", answer("y"))])],
        exception_handlers={HTTPException: on_http},
    )
    with client_factory(app) as client:
        assert client.post("/x").text == "405 {'Allow': 'GET, HEAD'}"
        assert client.post("/m/y").text == "405 {'Allow': 'GET, HEAD'}"
        assert client.get("/none").text == "404 None"
        assert client.get("/m/none").text == "404 None"


async def test_the_scope_tells_the_route_and_the_mounts_above_it() -> None:
    seen: list[tuple[str, str, str]] = []

    async def endpoint(request: Request[Any]) -> Response:
        scope = request.scope
        seen.append(
            (scope.get("framework.route_prefix", ""), scope["route"].path, scope["root_path"])
        )
        return Response()

    inner = Router([Route("/{id:int}", endpoint)])
    app = App(
        routes=[
            Route("/plain", endpoint),
            Mount("/{tenant}/", routes=[Mount("/users", app=inner)]),
        ]
    )
    await fetch(app, "/plain")
    await fetch(app, "/acme/users/7")
    assert seen == [("", "/plain", ""), ("/{tenant}/users", "/{id:int}", "/acme/users")]


async def test_two_requests_never_share_their_parameters() -> None:
    kept: list[dict[str, Any]] = []

    async def endpoint(request: Request[Any]) -> Response:
        request.path_params["own"] = len(kept)
        kept.append(request.path_params)
        return Response()

    app = App(routes=[Route("/static", endpoint), Route("/{x}", endpoint)])
    for path in ("/static", "/static", "/x", "/x"):
        await fetch(app, path)
    assert [params["own"] for params in kept] == [0, 1, 2, 3]


async def test_a_mount_ends_at_a_segment() -> None:
    app = App(routes=[Mount("/a", routes=[Route("/b", answer("b"))]), Route("/ab", answer("ab"))])
    assert await fetch(app, "/ab") == "200 ab {}"
    assert await fetch(app, "/a/b") == "200 b {}"
    assert await fetch(app, "/aa/b") == "404 Not Found"


async def test_literal_braces_and_regular_expressions_are_text() -> None:
    paths = ["/{", "/}", "/{}", "/{1x}", "/a.b", "/a*", "/(x)", "/$", "/^", "/[a]", "/{x:}"]
    app = App(routes=[Route(path, answer(path)) for path in paths])
    for path in paths:
        assert await fetch(app, path) == f"200 {path} {{}}"
    assert await fetch(app, "/axb") == "404 Not Found"


async def test_names_lead_back_to_paths() -> None:
    user = Route("/users/{id:int}", answer("user"), name="user")
    app = App(routes=[user, Mount("/m", name="m", routes=[user]), Mount("/n", routes=[user])])
    assert app.url_path_for("user", id=7) == "/users/7"
    assert app.url_path_for("m:user", id=7) == "/m/users/7"
    assert app.url_path_for("m", path="/x") == "/m/x"
    with pytest.raises(NoMatchFound, match='name "user" and params ""'):
        app.url_path_for("user")
    with pytest.raises(NoMatchFound):
        app.url_path_for("user", id=7, extra=1)
    with pytest.raises(NoMatchFound):
        app.url_path_for("m:other")


def test_routes_show_what_they_are() -> None:
    route = Route("/a", answer("a"), methods=["POST", "GET"], name="n")
    assert repr(route) == "Route(path='/a', name='n', methods=['GET', 'HEAD', 'POST'])"
    assert repr(Mount("/m", app=route)).startswith("Mount(path='/m', name='', app=Route(")
    assert route == Route("/a", route.endpoint, methods=["GET", "POST"])
    assert route != Route("/b", route.endpoint, methods=["GET", "POST"])
    assert len({route, Mount("/m", routes=[route])}) == 2
