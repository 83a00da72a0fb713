"""`CrossOriginProtection`: which requests it lets through; hostile ones are in tests/corpus/origins."""

from __future__ import annotations

from typing import Any

import pytest

from framework.applications import App
from framework.exceptions import HTTPException
from framework.middleware import Middleware
from framework.middleware.cross_origin import CrossOriginProtection
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route, WebSocketRoute
from framework.testclient import WebSocketDenialResponse
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocket, WebSocketDisconnect
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

OK = PlainTextResponse("ok")
EVIL = (("host", "example.org"), ("origin", "https://evil.example"))


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY", "TRACE", "FOO"])
async def test_another_origin_may_change_nothing(method: str) -> None:
    channel = await call(CrossOriginProtection(OK), build_scope("/", method, *EVIL))
    assert (channel.status, channel.body) == (403, b"Cross-origin request refused")


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_a_safe_method_may_come_from_anywhere(method: str) -> None:
    fields = (*EVIL, ("sec-fetch-site", "cross-site"))
    channel = await call(CrossOriginProtection(OK), build_scope("/", method, *fields))
    assert channel.status == 200


TRUSTING = {"trusted_origins": ["https://Admin.example.com:443"]}


@pytest.mark.parametrize(
    "fields",
    [
        [("sec-fetch-site", "same-origin")],
        [("sec-fetch-site", "none")],
        [("sec-fetch-site", "same-origin"), ("origin", "https://proxied.example")],
        [("sec-fetch-site", "cross-site"), ("origin", "https://admin.example.com")],
        [("origin", "https://admin.example.com")],
        [("referer", "https://admin.example.com/page?a=b")],
        [("origin", "https://example.org")],
        [("origin", "http://example.org")],
        [("origin", "https://example.org:443")],
        [("referer", "https://example.org/form")],
        [("sec-fetch-site", ""), ("origin", ""), ("referer", "")],
        [],
    ],
)
async def test_own_and_trusted_origins_may_change_something(fields: list[tuple[str, str]]) -> None:
    app = CrossOriginProtection(OK, **TRUSTING)  # type: ignore[arg-type]
    scope = build_scope("/", "POST", ("host", "Example.org"), *fields)
    assert (await call(app, scope)).status == 200


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("example.org:8000", "http://example.org:8000", 200),
        ("example.org:443", "https://example.org", 200),
        ("example.org:8000", "http://example.org", 403),
        ("example.org", "http://example.org:8000", 403),
        ("[::1]:8000", "http://[::1]:8000", 200),
        ("", "http://example.org", 403),
    ],
)
async def test_ports_are_compared(host: str, origin: str, status: int) -> None:
    scope = build_scope("/", "POST", ("host", host), ("origin", origin))
    assert (await call(CrossOriginProtection(OK), scope)).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/callback", 200),
        ("/callback/", 403),
        ("/callbacks", 403),
        ("/hooks/", 200),
        ("/hooks/a/b", 200),
        ("/hooks", 403),
        ("/x/hooks/", 403),
        ("/v1/hooks/a", 200),
    ],
)
async def test_paths_may_be_exempt(path: str, status: int) -> None:
    app = CrossOriginProtection(OK, exempt_paths=["/callback", "/hooks/*"])
    root_path = "/v1" if path.startswith("/v1/") else ""
    scope = build_scope(path, "POST", *EVIL, root_path=root_path)
    assert (await call(app, scope)).status == status


def build_app(**options: Any) -> App:
    """Build an application with an endpoint, a WebSocket and a handler for 403."""

    async def change(request: Request[Any]) -> Response:
        return PlainTextResponse("changed")

    async def echo(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        await websocket.send_text("open")
        await websocket.close()

    def refuse(request: Request[Any], exc: HTTPException) -> Response:
        return PlainTextResponse(f"own page: {exc.detail}", status_code=exc.status_code)

    return App(
        routes=[Route("/", change, methods=["POST"]), WebSocketRoute("/ws", echo)],
        middleware=[Middleware(CrossOriginProtection, **options)],
        exception_handlers={403: refuse},
    )


async def test_the_application_may_have_a_page_for_it() -> None:
    channel = await call(build_app(), build_scope("/", "POST", *EVIL))
    assert channel.body == b"own page: Cross-origin request refused"


def test_a_websocket_of_another_origin_is_refused(client_factory: ClientFactory) -> None:
    client = client_factory(build_app())
    for origin in ("https://evil.example", "null", "http://testserver.evil.example"):
        with (
            pytest.raises(WebSocketDenialResponse) as caught,
            client.websocket_connect("/ws", headers={"origin": origin}),
        ):
            pass
        assert caught.value.status_code == 403


async def test_a_server_without_denial_responses_closes_the_websocket() -> None:
    channel = Channel()
    scope = {**build_scope("/ws", "GET", *EVIL), "type": "websocket"}
    await CrossOriginProtection(OK)(scope, channel.receive, channel.send)
    assert [message["type"] for message in channel.messages] == ["websocket.close"]


@pytest.mark.parametrize(
    ("options", "origin"),
    [
        ({}, "http://testserver"),
        ({"trusted_origins": ["https://app.example"]}, "https://app.example"),
        ({"websockets": False}, "https://evil.example"),
    ],
)
def test_a_websocket_may_be_opened(
    client_factory: ClientFactory, options: dict[str, Any], origin: str
) -> None:
    client = client_factory(build_app(**options))
    with client.websocket_connect("/ws", headers={"origin": origin}) as websocket:
        assert websocket.receive_text() == "open"
        with pytest.raises(WebSocketDisconnect):
            websocket.receive_text()


async def test_what_is_no_connection_passes() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await CrossOriginProtection(app)({"type": "lifespan"}, Channel().receive, Channel().send)
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    "origin",
    [
        "example.org",
        "https://example.org/",
        "https://example.org/path",
        "https://*.example.org",
        "https://user@example.org",
        "null",
        "*",
        "https://",
        "",
    ],
)
def test_what_no_browser_sends_cannot_be_trusted(origin: str) -> None:
    with pytest.raises(ValueError, match="write scheme and host"):
        CrossOriginProtection(OK, trusted_origins=[origin])


@pytest.mark.parametrize("path", ["hooks", "/*/hooks", "/hooks*", "*", ""])
def test_a_path_that_matches_nothing_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="matches nothing"):
        CrossOriginProtection(OK, exempt_paths=[path])


@pytest.mark.parametrize("name", ["trusted_origins", "exempt_paths"])
def test_a_text_instead_of_a_list_is_refused(name: str) -> None:
    options: dict[str, Any] = {name: "https://example.org"}
    with pytest.raises(TypeError, match=f"{name}='https://example.org' is one text"):
        CrossOriginProtection(OK, **options)
