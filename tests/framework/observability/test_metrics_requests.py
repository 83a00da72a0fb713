"""Requests through the middleware, as the metrics see them."""

from __future__ import annotations

import random

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from framework.applications import App
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route
from framework.testclient import AsyncTestClient
from framework.types import Receive, Scope, Send
from tests.framework.observability.harness import Observe, Server, answer, count, http_scope

pytestmark = pytest.mark.anyio


async def read_bytes(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def test_bytes_of_bodies_are_counted_by_route(
    observe: Observe, registry: CollectorRegistry
) -> None:
    app = App(routes=[Route("/sizes/{name}", read_bytes, methods=["POST"])])
    async with AsyncTestClient(observe(app)) as client:
        for name in ("a", "b"):
            assert (await client.post(f"/sizes/{name}", content=b"x" * 12_345)).text == "12345"

    labels = {"method": "POST", "route": "/sizes/{name}", "status": "200"}
    assert registry.get_sample_value("http_request_body_bytes_total", labels) == 2 * 12_345
    assert registry.get_sample_value("http_response_body_bytes_total", labels) == 2 * 5


async def test_the_body_that_head_leaves_out_is_not_counted(
    observe: Observe, registry: CollectorRegistry
) -> None:
    await Server().run(observe(answer()), http_scope(method="HEAD"))
    labels = {"method": "HEAD", "route": "/items/{id}", "status": "200"}
    assert registry.get_sample_value("http_response_body_bytes_total", labels) == 0


async def test_unhandled_exceptions_are_counted_by_type(
    observe: Observe, registry: CollectorRegistry
) -> None:
    async def fail(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError

    app = observe(fail)
    for _ in range(3):
        await Server().run(app)
    labels = {"exception": "LookupError"}
    assert registry.get_sample_value("unhandled_exceptions_total", labels) == 3
    assert registry.get_sample_value("http_requests_in_flight") == 0


async def test_a_client_that_leaves_is_counted_as_such(
    observe: Observe, registry: CollectorRegistry
) -> None:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    await Server({"type": "http.disconnect"}).run(observe(wait))
    labels = {"method": "GET", "route": "__unmatched__"}
    assert registry.get_sample_value("http_requests_aborted_total", labels) == 1
    assert registry.get_sample_value("unhandled_exceptions_total", labels) is None


async def test_ten_thousand_paths_and_methods_make_no_series(
    observe: Observe, registry: CollectorRegistry
) -> None:
    routes = [Route("/items/{id}", read_bytes), Route("/sizes/{name}", read_bytes)]
    app = observe(App(routes=routes))
    numbers = random.Random(7)

    async def attack(times: int) -> None:
        for _ in range(times):
            word = f"{numbers.getrandbits(64):x}"
            method = numbers.choice(("GET", "POST", word.upper(), "get", "\x00", "É"))
            path = numbers.choice((f"/{word}", f"/items/{word}", f"/items/{word}/x", "/" * 500))
            await Server({"type": "http.request"}).run(app, http_scope(path, method))

    await attack(500)
    series = generate_latest(registry).count(b"\n")
    await attack(10_000)
    assert generate_latest(registry).count(b"\n") == series
    assert count(registry, 200) > 100
