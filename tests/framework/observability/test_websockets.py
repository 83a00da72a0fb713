from __future__ import annotations

import logging

import pytest
from prometheus_client import CollectorRegistry

from framework.exceptions import WebSocketDisconnect
from framework.observability.logging import get_logger
from framework.types import Receive, Scope, Send
from tests.framework.observability.harness import (
    LogStream,
    Observe,
    Route,
    Server,
    websocket_scope,
)

pytestmark = pytest.mark.anyio


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = Route("/chat/{room}")
    await receive()
    await send({"type": "websocket.accept"})
    get_logger("app").info("joined")
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "hello"})


async def test_a_websocket_is_one_line_with_its_close_code(
    observe: Observe, log: LogStream, registry: CollectorRegistry
) -> None:
    server = Server(
        {"type": "websocket.connect"},
        {"type": "websocket.receive", "text": "x"},
        {"type": "websocket.disconnect", "code": 1001},
    )
    await server.run(observe(chat), websocket_scope())

    (line,) = log.named("websocket")
    assert (line["path"], line["route"]) == ("/chat/7", "/chat/{room}")
    assert (line["status"], line["code"], line["client"]) == (101, 1001, "192.0.2.7")
    assert log.named("joined")[0]["request_id"] == line["request_id"]
    assert server.header(b"x-request-id") == [line["request_id"].encode()]
    assert registry.get_sample_value("http_requests_in_flight") == 0


async def test_a_refused_websocket_says_so(observe: Observe, log: LogStream) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 4000})

    await Server().run(observe(app), websocket_scope())
    (line,) = log.named("websocket")
    assert (line["status"], line["code"]) == (403, 4000)


async def test_a_websocket_refused_with_a_response_says_so(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    await Server().run(observe(app), websocket_scope())
    assert log.named("websocket")[0]["status"] == 401


async def test_an_exception_in_a_websocket_is_reported_once_and_raised(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        raise LookupError("broken")

    with pytest.raises(LookupError) as raised:
        await Server().run(observe(app), websocket_scope())

    logging.getLogger("uvicorn.error").error("Exception in ASGI", exc_info=raised.value)
    assert [line["event"] for line in log.lines()] == ["unhandled exception", "websocket"]
    assert log.named("websocket")[0]["code"] == 1011


async def test_a_peer_that_closes_is_no_fault(observe: Observe, log: LogStream) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        raise WebSocketDisconnect(1001)

    await Server({"type": "websocket.disconnect", "code": 1001}).run(
        observe(app), websocket_scope()
    )
    assert [line["event"] for line in log.lines()] == ["websocket"]
