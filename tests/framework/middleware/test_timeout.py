"""A request has a deadline: 504 before its response has begun, a broken connection after."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from framework.applications import App
from framework.background import BackgroundTask
from framework.exceptions import HTTPException
from framework.middleware import Middleware
from framework.middleware.timeout import TimeoutMiddleware
from framework.requests import Request
from framework.responses import (
    EventSourceResponse,
    PlainTextResponse,
    Response,
    StreamingResponse,
)
from framework.routing import Route, WebSocketRoute
from framework.types import ASGIApp, Message, Receive, Scope, Send
from framework.websockets import WebSocket
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.handlers import answer_problem

pytestmark = pytest.mark.anyio

SHORT = 0.05


class Hanging:
    """Waits for ever, and notes that it was stopped; a response may have begun."""

    def __init__(self, *, begins: bool = False) -> None:
        self.begins = begins
        self.was_cancelled = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.begins:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.was_cancelled = True
            raise


async def test_what_takes_too_long_is_cancelled_and_answered_with_504() -> None:
    app = Hanging()
    channel = await call(TimeoutMiddleware(app, SHORT), build_scope())
    assert (channel.status, channel.body) == (504, b"Gateway Timeout")
    assert channel.headers[b"connection"] == b"close"
    assert app.was_cancelled


async def test_a_response_that_has_begun_stays_incomplete() -> None:
    app = Hanging(begins=True)
    channel = Channel(b"")
    with pytest.raises(TimeoutError, match=r"not complete 0\.05 seconds after its request"):
        await TimeoutMiddleware(app, SHORT)(build_scope(), channel.receive, channel.send)
    assert [message["type"] for message in channel.messages] == ["http.response.start"]
    assert app.was_cancelled


async def test_what_is_in_time_is_not_touched() -> None:
    scope = build_scope()
    channel = await call(TimeoutMiddleware(PlainTextResponse("in time")), scope)
    assert channel.body == b"in time"
    assert scope == build_scope()


async def test_background_work_after_the_response_may_take_longer() -> None:
    done = anyio.Event()

    async def work() -> None:
        await anyio.sleep(3 * SHORT)
        done.set()

    app = PlainTextResponse("sent", background=BackgroundTask(work))
    channel = await call(TimeoutMiddleware(app, SHORT), build_scope())
    assert (channel.body, done.is_set()) == (b"sent", True)


async def test_a_client_that_does_not_take_the_end_has_no_longer() -> None:
    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await anyio.sleep_forever()

    app = TimeoutMiddleware(PlainTextResponse("never taken"), SHORT)
    with anyio.fail_after(5), pytest.raises(TimeoutError, match="was not complete"):
        await app(build_scope(), Channel(b"", stays=True).receive, send)


async def test_an_error_in_time_passes() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("passes")

    with pytest.raises(LookupError, match="passes"):
        await call(TimeoutMiddleware(app), build_scope())


async def test_a_time_limit_of_the_application_is_its_own() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.fail_after(SHORT):
            await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await call(TimeoutMiddleware(app), build_scope())


async def hang(request: Request[Any]) -> Response:
    await anyio.sleep_forever()
    return Response()


async def wait(request: Request[Any]) -> Response:
    await anyio.sleep(4 * SHORT)
    return PlainTextResponse("patience")


async def wait_in_stream(request: Request[Any]) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"begun, "
        await anyio.sleep(4 * SHORT)
        yield b"done"

    return StreamingResponse(chunks())


async def wait_in_events(request: Request[Any]) -> Response:
    async def events() -> AsyncIterator[str]:
        await anyio.sleep(4 * SHORT)
        yield "late"

    return EventSourceResponse(events())


async def wait_in_socket(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    await anyio.sleep(4 * SHORT)
    await websocket.send_text("late")


def build_app(*middleware: Middleware, **options: Any) -> App:
    patient = [Middleware(TimeoutMiddleware, None)]
    hasty = [Middleware(TimeoutMiddleware, SHORT / 2)]
    return App(
        routes=[
            Route("/hang", hang),
            Route("/wait", wait),
            Route("/stream", wait_in_stream),
            Route("/events", wait_in_events),
            Route("/patient", wait, middleware=patient),
            Route("/hasty", wait, middleware=hasty),
            WebSocketRoute("/socket", wait_in_socket),
        ],
        middleware=middleware,
        **options,
    )


def test_the_application_says_how_504_looks(client_factory: ClientFactory) -> None:
    app = build_app(
        Middleware(TimeoutMiddleware, SHORT), exception_handlers={HTTPException: answer_problem}
    )
    with client_factory(app) as client:
        response = client.get("/hang")
    assert (response.status_code, response.json()) == (504, {"status": 504})
    assert response.headers["connection"] == "close"


def test_a_route_replaces_the_deadline_up_and_down(client_factory: ClientFactory) -> None:
    with client_factory(build_app(Middleware(TimeoutMiddleware, SHORT))) as client:
        assert client.get("/wait").status_code == 504
        assert client.get("/patient").text == "patience"
    with client_factory(build_app(Middleware(TimeoutMiddleware, 60))) as client:
        assert client.get("/wait").text == "patience"
        assert client.get("/hasty").status_code == 504


def test_a_route_alone_can_have_a_deadline(client_factory: ClientFactory) -> None:
    with client_factory(build_app()) as client:
        assert client.get("/wait").text == "patience"
        assert client.get("/hasty").status_code == 504


def test_exempt_paths_event_streams_and_sockets_have_none(client_factory: ClientFactory) -> None:
    app = build_app(Middleware(TimeoutMiddleware, SHORT, exempt=["/wait"]))
    with client_factory(app) as client:
        assert client.get("/wait").text == "patience"
        assert "data: late" in client.get("/events").text
        with client.websocket_connect("/socket") as websocket:
            assert websocket.receive_text() == "late"


def test_a_stream_is_cut_off_unless_only_its_start_is_limited(
    client_factory: ClientFactory,
) -> None:
    with (
        client_factory(build_app(Middleware(TimeoutMiddleware, SHORT))) as client,
        pytest.raises(TimeoutError, match="not complete"),
    ):
        client.get("/stream")
    app = build_app(Middleware(TimeoutMiddleware, SHORT, start_only=True))
    with client_factory(app) as client:
        assert client.get("/stream").text == "begun, done"
        assert client.get("/wait").status_code == 504


async def test_a_deadline_from_outside_is_not_taken_for_its_own() -> None:
    app = TimeoutMiddleware(Hanging(), 60)
    with anyio.move_on_after(SHORT) as outer:
        await call(app, build_scope())
    assert outer.cancelled_caught


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_a_deadline_is_in_the_future(seconds: float) -> None:
    with pytest.raises(ValueError, match="must be above 0; None is no deadline"):
        TimeoutMiddleware(PlainTextResponse("x"), seconds)


def test_a_path_is_not_a_list_of_paths() -> None:
    app: ASGIApp = PlainTextResponse("x")
    with pytest.raises(TypeError, match="pass a collection of paths"):
        TimeoutMiddleware(app, exempt="/livez")
