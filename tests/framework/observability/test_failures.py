"""Requests that fail, break off or lose their client."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import anyio
import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry

from framework.exceptions import ClientDisconnect
from framework.types import Message, Receive, Scope, Send
from tests.framework.observability.harness import (
    GIVEN_ID,
    REQUEST_ID,
    LogStream,
    Observe,
    Route,
    Server,
    answer,
    count,
    http_scope,
)

pytestmark = pytest.mark.anyio


DISCONNECT: Message = {"type": "http.disconnect"}


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    scope["route"] = Route("/items/{id}")
    raise LookupError("broken")


def assert_reported_once(log: LogStream, text: str) -> None:
    (line,) = log.named("unhandled exception")
    assert line["level"] == "error"
    assert line["logger"] == "framework.errors"
    assert line["request_id"] == REQUEST_ID
    assert (line["method"], line["path"], line["route"]) == ("GET", "/items/7", "/items/{id}")
    assert line["exception"][0]["message"] == text


async def test_an_unhandled_exception_is_a_500_and_one_event(
    observe: Observe, log: LogStream, registry: CollectorRegistry
) -> None:
    server = await Server().run(observe(broken), http_scope(headers=GIVEN_ID))

    assert server.status == 500
    assert server.header(b"x-request-id") == [REQUEST_ID.encode()]
    assert server.sent[1]["body"] == b"Internal Server Error"
    assert server.header(b"content-length") == [b"21"]
    assert_reported_once(log, "broken")
    assert [line["status"] for line in log.named("request")] == [500]
    assert count(registry, 500) == 1


async def test_an_exception_after_the_response_is_reported_and_goes_no_further(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(500)(scope, receive, send)
        raise LookupError("shown to the server")

    await Server().run(observe(app), http_scope(headers=GIVEN_ID))

    assert_reported_once(log, "shown to the server")
    assert [line["status"] for line in log.named("request")] == [500]


async def test_a_response_that_breaks_off_is_a_500_and_raised_so_that_the_server_closes(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route("/items/{id}")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise LookupError("half way")

    with pytest.raises(LookupError, match="half way") as raised:
        await Server().run(observe(app), http_scope(headers=GIVEN_ID))

    # What uvicorn does with it then.
    logging.getLogger("uvicorn.error").error("Exception in ASGI", exc_info=raised.value)
    assert_reported_once(log, "half way")
    assert [line["event"] for line in log.lines()] == ["unhandled exception", "request"]
    assert [line["status"] for line in log.named("request")] == [500]


async def test_an_answer_that_the_server_refuses_for_its_length_is_a_500(
    observe: Observe, log: LogStream, registry: CollectorRegistry
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route("/items/{id}")
        headers = [(b"content-length", b"7")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"short"})

    class StrictServer(Server):
        async def send(self, message: Message) -> None:
            if message.get("body") == b"short":
                raise RuntimeError("Response content shorter than Content-Length")

    with pytest.raises(RuntimeError, match="shorter"):
        await StrictServer().run(observe(app))

    assert [line["status"] for line in log.named("request")] == [500]
    assert (count(registry, 200), count(registry, 500)) == (0, 1)


async def test_an_application_that_sends_nothing_is_a_500(observe: Observe, log: LogStream) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    server = await Server().run(observe(app))
    assert server.sent == []  # the server answers and says why
    assert [line["status"] for line in log.named("request")] == [500]


async def test_a_client_that_leaves_while_its_body_is_read_is_a_499(
    observe: Observe, log: LogStream, registry: CollectorRegistry
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route("/items/{id}")
        if (await receive())["type"] == "http.disconnect":
            raise ClientDisconnect

    server = await Server(DISCONNECT).run(observe(app))

    assert server.sent == []
    assert [(line["event"], line["status"]) for line in log.lines()] == [("request", 499)]
    assert count(registry, 499) == 1
    assert registry.get_sample_value("http_requests_in_flight") == 0


async def test_a_client_that_leaves_during_the_response_is_a_499(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"123", "more_body": True})
        await receive()

    await Server(DISCONNECT).run(observe(app))
    (line,) = log.named("request")
    assert (line["status"], line["bytes"]) == (499, 3)


async def test_a_disconnect_that_only_the_server_knows_of_is_a_499(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        server.disconnected = True
        await answer()(scope, receive, send)

    server = Server()
    await server.run(observe(app))
    assert [line["status"] for line in log.named("request")] == [499]


async def test_a_send_that_fails_because_the_client_left_is_a_499(
    observe: Observe, log: LogStream
) -> None:
    async def send_to_nobody(message: Message) -> None:
        raise BrokenPipeError

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await answer()(scope, receive, send)

    await observe(app)(http_scope(), Server(DISCONNECT).receive, send_to_nobody)
    assert [(line["event"], line["status"]) for line in log.lines()] == [("request", 499)]


async def test_a_fault_stays_a_500_when_the_client_has_left(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        server.disconnected = True
        await broken(scope, receive, send)

    server = Server()
    await server.run(observe(app), http_scope(headers=GIVEN_ID))
    assert_reported_once(log, "broken")
    assert [line["status"] for line in log.named("request")] == [500]


async def test_an_answer_of_503_stays_one_when_the_client_has_left(
    observe: Observe, log: LogStream
) -> None:
    server = Server()
    server.disconnected = True
    await server.run(observe(answer(503)))
    assert [line["status"] for line in log.named("request")] == [503]


async def test_an_application_that_answers_a_departed_client_with_500_and_raises_is_a_499(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        server.disconnected = True
        await answer(500)(scope, receive, send)
        raise ClientDisconnect

    server = Server()
    await server.run(observe(app))
    assert [(line["event"], line["status"]) for line in log.lines()] == [("request", 499)]


async def test_a_disconnect_after_the_response_changes_nothing(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer()(scope, receive, send)
        assert await receive() is DISCONNECT

    await Server(DISCONNECT).run(observe(app))
    assert [line["status"] for line in log.named("request")] == [200]


@pytest.mark.parametrize(("has_left", "status"), [(True, 499), (False, 503)])
async def test_a_cancelled_request_is_accounted_for(
    observe: Observe, log: LogStream, registry: CollectorRegistry, has_left: bool, status: int
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route("/items/{id}")
        server.disconnected = has_left
        await anyio.sleep_forever()

    server = Server()
    with anyio.move_on_after(0.05) as cancelled:
        await server.run(observe(app))

    assert cancelled.cancelled_caught
    assert [line["status"] for line in log.named("request")] == [status]
    assert count(registry, status) == 1
    assert registry.get_sample_value("http_requests_in_flight") == 0


@pytest.mark.parametrize("exc", [SystemExit(2), BaseExceptionGroup("", [SystemExit(2)])], ids=type)
async def test_an_application_that_ends_the_process_has_failed(
    observe: Observe, log: LogStream, registry: CollectorRegistry, exc: BaseException
) -> None:
    """The worker goes on and answers 500."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = Route("/items/{id}")
        raise exc

    with pytest.raises(type(exc)):
        await Server().run(observe(app), http_scope(headers=GIVEN_ID))
    assert_reported_once(log, str(exc))
    assert [line["status"] for line in log.named("request")] == [500]
    assert count(registry, 500) == 1


async def test_an_exception_that_goes_no_further_holds_no_request(observe: Observe) -> None:
    """An instance that is raised for ever would keep the frames of every request."""
    reused = LookupError("a module constant")
    members = ExceptionGroup("several", [reused])

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise reused

    async def several(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            raise reused
        except LookupError:
            raise members from None

    for broken_app in (app, several):
        for _ in range(2):
            await Server().run(observe(broken_app), http_scope())
            assert reused.__traceback__ is None
    assert members.__traceback__ is None


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int = 7


class Proxy(Exception):
    """Hands its attributes on to another object, which is not there."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name) if name.startswith("__") else LookupError(name)


@pytest.mark.parametrize("kind", [Frozen, Proxy])
async def test_an_exception_that_takes_or_has_no_attributes_is_one_event(
    observe: Observe, log: LogStream, kind: type[Exception]
) -> None:
    exc = kind()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise exc

    server = await Server().run(observe(app), http_scope())
    assert server.status == 500
    assert len(log.named("unhandled exception")) == 1
    assert exc.__traceback__ is None
