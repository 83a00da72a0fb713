"""`AuthenticationMiddleware`: what the backend says, and what becomes of it."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import pytest

from framework.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    SimpleUser,
)
from framework.middleware.authentication import AuthenticationMiddleware
from framework.requests import HTTPConnection, Request
from framework.responses import JSONResponse, PlainTextResponse, Response
from framework.types import Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio


class Basic(AuthenticationBackend):
    """Believes every name."""

    async def authenticate(
        self, conn: HTTPConnection[Any]
    ) -> tuple[AuthCredentials, BaseUser] | None:
        field = conn.headers.get("authorization")
        if field is None:
            return None
        try:
            text = base64.b64decode(field.removeprefix("Basic "), validate=True).decode()
        except (ValueError, binascii.Error):
            raise AuthenticationError("Malformed credentials") from None
        return AuthCredentials(["known"]), SimpleUser(text.partition(":")[0])


async def show(scope: Scope, receive: Receive, send: Send) -> None:
    request: Request[Any] = Request(scope)
    response = JSONResponse([request.auth.scopes, request.user.display_name])
    await response(scope, receive, send)


BASIC = ("authorization", "Basic " + base64.b64encode(b"ada:secret").decode())
BROKEN = ("authorization", "Basic é")


@pytest.mark.parametrize(
    ("headers", "status", "body"),
    [
        ([BASIC], 200, b'[["known"],"ada"]'),
        ([], 200, b'[[],""]'),
        ([BROKEN], 400, b"Malformed credentials"),
    ],
)
async def test_a_request_has_a_user(
    headers: list[tuple[str, str]], status: int, body: bytes
) -> None:
    app = AuthenticationMiddleware(show, backend=Basic())
    channel = await call(app, build_scope("/", "GET", *headers))
    assert (channel.status, channel.body) == (status, body)


def refuse(conn: HTTPConnection[Any], exc: AuthenticationError) -> Response:
    return PlainTextResponse(f"{conn.url.path}: {exc}", status_code=401)


async def refuse_async(conn: HTTPConnection[Any], exc: AuthenticationError) -> Response:
    return refuse(conn, exc)


@pytest.mark.parametrize("on_error", [refuse, refuse_async])
async def test_the_refusal_may_be_ones_own(on_error: Any) -> None:
    app = AuthenticationMiddleware(show, Basic(), on_error)
    channel = await call(app, build_scope("/a", "GET", BROKEN))
    assert (channel.status, channel.body) == (401, b"/a: Malformed credentials")


async def test_a_websocket_is_refused_before_it_is_accepted() -> None:
    channel = Channel()
    scope = {**build_scope("/", "GET", BROKEN), "type": "websocket"}
    await AuthenticationMiddleware(show, Basic(), refuse_async)(
        scope, channel.receive, channel.send
    )
    assert channel.messages == [{"type": "websocket.close", "code": 1000}]


async def test_what_is_no_connection_passes() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    channel = Channel()
    await AuthenticationMiddleware(app, Basic())(
        {"type": "lifespan"}, channel.receive, channel.send
    )
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize("backend", [Basic, None, "basic"])
def test_what_cannot_authenticate_is_refused(backend: Any) -> None:
    with pytest.raises(TypeError, match="pass an instance of a subclass"):
        AuthenticationMiddleware(show, backend)
