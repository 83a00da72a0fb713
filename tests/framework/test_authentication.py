"""Users, credentials, and `requires`."""

from __future__ import annotations

import functools
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from framework.applications import App
from framework.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    BaseUser,
    SimpleUser,
    UnauthenticatedUser,
    has_required_scope,
    requires,
)
from framework.middleware import Middleware
from framework.middleware.authentication import AuthenticationMiddleware
from framework.requests import HTTPConnection, Request
from framework.responses import JSONResponse, PlainTextResponse, Response
from framework.routing import Route, WebSocketRoute
from framework.websockets import WebSocket, WebSocketDisconnect
from tests.clients import ClientFactory
from tests.framework.asgi import build_scope


class ScopesInHeader(AuthenticationBackend):
    """The scopes of a request stand in its header."""

    async def authenticate(
        self, conn: HTTPConnection[Any]
    ) -> tuple[AuthCredentials, BaseUser] | None:
        scopes = conn.headers.get("x-scopes")
        if scopes is None:
            return None
        return AuthCredentials(scopes.split(",")), SimpleUser("ada")


@requires("read")
async def read(request: Request[Any]) -> Response:
    return JSONResponse([request.user.display_name, request.user.is_authenticated])


@requires(["read", "write"], status_code=404)
def write(request: Request[Any]) -> Response:
    return PlainTextResponse("written")


@requires("read", redirect="login")
async def page(request: Request[Any]) -> Response:
    return PlainTextResponse("page")


@requires("read", redirect="login")
def sync_page(request: Request[Any]) -> Response:
    return PlainTextResponse("page")


async def login(request: Request[Any]) -> Response:
    return PlainTextResponse("login")


class Pages:
    @requires("read")
    async def show(self, request: Request[Any]) -> Response:
        return PlainTextResponse("shown")


@requires("read")
async def with_more(prefix: str, request: Request[Any], suffix: str = "!") -> Response:
    return PlainTextResponse(prefix + suffix)


@requires("read")
async def echo(websocket: WebSocket[Any], text: str = "open") -> None:
    await websocket.accept()
    await websocket.send_text(text)
    await websocket.close()


@pytest.fixture
def app() -> App:
    return App(
        routes=[
            Route("/read", read),
            Route("/write", write, methods=["POST"]),
            Route("/page", page),
            Route("/sync_page", sync_page),
            Route("/login", login, name="login"),
            Route("/method", Pages().show),
            Route("/partial", functools.partial(with_more, "a")),
            WebSocketRoute("/ws", echo),
        ],
        middleware=[Middleware(AuthenticationMiddleware, backend=ScopesInHeader())],
    )


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/read", 403), ("POST", "/write", 404), ("GET", "/method", 403)],
)
def test_who_lacks_a_scope_is_refused(
    app: App, client_factory: ClientFactory, method: str, path: str, status: int
) -> None:
    client = client_factory(app)
    for headers in ({}, {"x-scopes": "other"}, {"x-scopes": ""}):
        assert client.request(method, path, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/read", '["ada",true]'),
        ("POST", "/write", "written"),
        ("GET", "/page", "page"),
        ("GET", "/sync_page", "page"),
        ("GET", "/method", "shown"),
        ("GET", "/partial", "a!"),
    ],
)
def test_who_has_the_scopes_may_pass(
    app: App, client_factory: ClientFactory, method: str, path: str, text: str
) -> None:
    response = client_factory(app).request(method, path, headers={"x-scopes": "read,write,more"})
    assert response.text == text


def test_all_scopes_are_needed(app: App, client_factory: ClientFactory) -> None:
    response = client_factory(app).post("/write", headers={"x-scopes": "read"})
    assert response.status_code == 404


@pytest.mark.parametrize("path", ["/page", "/sync_page"])
def test_others_are_sent_to_another_page(
    app: App, client_factory: ClientFactory, path: str
) -> None:
    response = client_factory(app, follow_redirects=False).get(path + "?a=b&c=/d")
    location = urlsplit(response.headers["location"])
    assert response.status_code == 303
    assert location.path == "/login"
    assert parse_qs(location.query) == {"next": [f"http://testserver{path}?a=b&c=/d"]}


def test_a_websocket_of_others_is_closed_before_it_is_accepted(
    app: App, client_factory: ClientFactory
) -> None:
    client = client_factory(app)
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/ws"):
        pass
    with client.websocket_connect("/ws", headers={"x-scopes": "read"}) as websocket:
        assert websocket.receive_text() == "open"


def test_a_guarded_function_keeps_its_name() -> None:
    assert (read.__name__, write.__name__, echo.__name__) == ("read", "write", "echo")


def test_a_function_without_a_request_is_refused_when_it_is_decorated() -> None:
    async def endpoint(req: Request[Any]) -> Response:
        return PlainTextResponse("")

    with pytest.raises(TypeError, match=r"endpoint.*no parameter `request` or `websocket`"):
        requires("read")(endpoint)


def test_anything_else_in_the_place_of_the_request_is_refused() -> None:
    with pytest.raises(TypeError, match="request='no request' is no Request"):
        write("no request")  # type: ignore[arg-type]


def test_without_the_middleware_it_is_named() -> None:
    with pytest.raises(RuntimeError, match="AuthenticationMiddleware"):
        write(Request(build_scope("/", "POST")))


def test_users() -> None:
    user = SimpleUser("ada")
    assert (user.is_authenticated, user.display_name, user.identity) == (True, "ada", "ada")
    nobody = UnauthenticatedUser()
    assert (nobody.is_authenticated, nobody.display_name, nobody.identity) == (False, "", "")


@pytest.mark.parametrize("name", ["is_authenticated", "display_name", "identity"])
def test_a_user_of_ones_own_says_what_it_lacks(name: str) -> None:
    class Half(BaseUser):
        pass

    with pytest.raises(NotImplementedError, match=f"Half needs a property `{name}`"):
        getattr(Half(), name)


@pytest.mark.anyio
async def test_a_backend_of_ones_own_says_what_it_lacks() -> None:
    class Half(AuthenticationBackend):
        pass

    with pytest.raises(NotImplementedError, match="Half needs a method `authenticate`"):
        await Half().authenticate(HTTPConnection(build_scope()))


def test_credentials_are_a_list_of_their_own() -> None:
    scopes = ("a", "b")
    assert AuthCredentials(scopes).scopes == ["a", "b"]
    assert AuthCredentials().scopes == []
    conn: HTTPConnection[Any] = HTTPConnection({**build_scope(), "auth": AuthCredentials(scopes)})
    assert has_required_scope(conn, ["b"])
    assert not has_required_scope(conn, ["b", "c"])
    with pytest.raises(TypeError, match="scopes='admin' is one text"):
        AuthCredentials("admin")
