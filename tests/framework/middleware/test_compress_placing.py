"""`CompressMiddleware` among its neighbours: applications, errors, other scopes, options, packages."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.compress import CompressMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse
from framework.routing import Route, WebSocketRoute
from framework.types import Receive, Scope, Send
from framework.websockets import WebSocket
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.middleware.compressing import answer_with, send_all

pytestmark = pytest.mark.anyio


async def fail(request: Request[Any]) -> PlainTextResponse:
    raise LookupError("unhandled")


async def echo(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())


def test_errors_websockets_and_the_lifespan_pass(client_factory: ClientFactory) -> None:
    app = App(
        routes=[Route("/", fail), WebSocketRoute("/ws", echo)],
        middleware=[Middleware(CompressMiddleware, minimum_size=0)],
    )
    with client_factory(app, raise_server_exceptions=False) as client:
        response = client.get("/", headers={"Accept-Encoding": "gzip, identity;q=0"})
        assert response.status_code == 500
        assert response.headers["content-encoding"] == "gzip"
        assert response.text == "Internal Server Error"
        with client.websocket_connect("/ws") as websocket:
            websocket.send_text("hello")
            assert websocket.receive_text() == "hello"


async def test_an_error_after_the_head_is_answered_in_its_place() -> None:
    """The head was held, so nothing has been sent yet; an outer layer may still answer."""
    sends: list[Send] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        sends.append(send)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("before the body")

    channel = Channel()
    scope = build_scope("/", "GET", ("accept-encoding", "gzip"))
    with pytest.raises(LookupError):
        await CompressMiddleware(app)(scope, channel.receive, channel.send)
    assert channel.messages == []
    page = PlainTextResponse("error page", status_code=500)
    await page(scope, channel.receive, sends[0])
    assert [message["type"] for message in channel.messages] == [
        "http.response.start",
        "http.response.body",
    ]
    assert channel.status == 500
    assert channel.body == b"error page"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum_size": -1}, "minimum_size=-1"),
        ({"thread_minimum_size": -1}, "thread_minimum_size=-1"),
        ({"codings": {"deflate": 6}}, "there are 'zstd', 'br', 'gzip'"),
        ({"codings": {"gzip": 10}}, r"codings\['gzip'\]=10: pass a level from -1 to 9"),
        ({"codings": {"br": 12}}, "from 0 to 11"),
        ({"codings": {"zstd": 20}}, "from 1 to 19"),
        ({"excluded_content_types": ["png"]}, "'png' is no media type"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompressMiddleware(answer_with(), **options)


WITHOUT_PACKAGES = """
import sys
sys.modules["brotli"] = sys.modules["zstandard"] = None
from framework.middleware.compress import CompressMiddleware
app = CompressMiddleware(None)
print(app.codings, app.missing_codings)
try:
    CompressMiddleware(None, codings={"br": 12})
except ValueError as exc:
    print(exc)
"""


def test_a_coding_without_its_package_is_not_offered() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_PACKAGES], capture_output=True, text=True, check=True
    )
    has_zstd = sys.version_info >= (3, 14)
    offered = "('zstd', 'gzip') ('br',)" if has_zstd else "('gzip',) ('zstd', 'br')"
    assert done.stdout.splitlines() == [
        offered,
        "codings['br']=12: pass a level from 0 to 11",
    ]


async def test_other_scopes_pass() -> None:
    app = CompressMiddleware(send_all({"type": "lifespan.startup.complete"}))
    channel = await call(app, {"type": "lifespan"})
    assert channel.messages == [{"type": "lifespan.startup.complete"}]
    channel = await call(app, build_scope(type="websocket"))
    assert channel.messages == [{"type": "lifespan.startup.complete"}]
