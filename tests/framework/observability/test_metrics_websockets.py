"""WebSocket connections in metrics."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from framework.observability.metrics import HttpMetrics
from framework.types import Message, Receive, Scope, Send
from tests.framework.observability.harness import Observe, Route, Server, websocket_scope

pytestmark = pytest.mark.anyio

CONNECT = {"type": "websocket.connect"}
HELLO = {"type": "websocket.receive", "text": "hello"}


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = Route("/chat/{room}")
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "a"})
        await send({"type": "websocket.send", "text": "b"})


def leave(code: int) -> Message:
    return {"type": "websocket.disconnect", "code": code}


async def test_connections_messages_and_close_codes_are_counted(
    observe: Observe, registry: CollectorRegistry
) -> None:
    def read(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"websocket_{name}", labels)

    open_ones = []

    class Watching(Server):
        async def send(self, message: Message) -> None:
            open_ones.append(read("connections"))

    await Watching(CONNECT, HELLO, HELLO, leave(1001)).run(observe(chat), websocket_scope())

    assert open_ones == [1.0] * 5
    assert read("connections") == 0
    route = "/chat/{room}"
    assert read("handshakes_total", route=route, status="101") == 1
    assert read("messages_total", route=route, direction="received") == 2
    assert read("messages_total", route=route, direction="sent") == 4
    assert read("closes_total", route=route, code="1001") == 1
    assert read("connection_duration_seconds_count", route=route) == 1


@pytest.mark.parametrize(
    ("code", "label"),
    [(1000, "1000"), (1015, "1015"), (3000, "3xxx"), (4999, "4xxx"), (1016, "other"), (7, "other")],
)
async def test_codes_that_clients_make_up_share_a_label(
    observe: Observe, registry: CollectorRegistry, code: int, label: str
) -> None:
    await Server(CONNECT, leave(code)).run(observe(chat), websocket_scope())
    labels = {"route": "/chat/{room}", "code": label}
    assert registry.get_sample_value("websocket_closes_total", labels) == 1


async def test_any_number_of_codes_makes_few_series(
    observe: Observe, registry: CollectorRegistry
) -> None:
    app = observe(chat)
    for code in range(1000, 5000, 7):
        await Server(CONNECT, leave(code)).run(app, websocket_scope())
    assert generate_latest(registry).count(b"\nwebsocket_closes_total{") <= 19


async def test_handshakes_that_are_refused_are_counted_by_status(
    observe: Observe, registry: CollectorRegistry
) -> None:
    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.close", "code": 4000})

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "websocket.http.response.start", "status": 429, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    async def ignore(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    for app, status in ((refuse, "403"), (answer, "429"), (ignore, "499")):
        await Server(CONNECT).run(observe(app), websocket_scope())
        labels = {"route": "__unmatched__", "status": status}
        assert registry.get_sample_value("websocket_handshakes_total", labels) == 1
    with pytest.raises(LookupError):
        await Server(CONNECT).run(observe(fail), websocket_scope())
    labels = {"route": "__unmatched__", "status": "500"}
    assert registry.get_sample_value("websocket_handshakes_total", labels) == 1
    failures = registry.get_sample_value("unhandled_exceptions_total", {"exception": "LookupError"})
    assert failures == 1
    assert registry.get_sample_value("websocket_connections") == 0


async def test_a_connection_that_is_lost_without_a_code_says_so(
    observe: Observe, registry: CollectorRegistry
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route("/chat/{room}")
        await send({"type": "websocket.accept"})

    await Server().run(observe(app), websocket_scope())
    labels = {"route": "/chat/{room}", "code": "none"}
    assert registry.get_sample_value("websocket_closes_total", labels) == 1


async def test_a_worker_starts_with_no_connection(registry: CollectorRegistry) -> None:
    metrics = HttpMetrics(registry)
    metrics.websockets.open("/chat")
    metrics.start_worker()
    metrics.stop_worker()
    assert registry.get_sample_value("websocket_connections") == 0
