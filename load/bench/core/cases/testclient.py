"""The test client: one request of a test."""

from __future__ import annotations

from typing import Any, Final

from load.bench.core.calls import measure_calls
from load.bench.core.case import Case
from load.bench.core.kit import Kit
from load.bench.measurements import Measurement


def build_client(kit: Kit) -> Any:
    """Return a test client of an application with one route."""
    response = kit.load("responses").PlainTextResponse

    async def endpoint(request: Any) -> Any:
        return response("Hello, world!")

    return kit.load("testclient").TestClient(kit.build_app([kit.build_route(endpoint)]))


def fetch(client: Any) -> str:
    """Send one request."""
    text: str = client.get("/").text
    return text


async def request_inside(kit: Kit) -> Measurement:
    """A request inside of `with`, which keeps the event loop of both."""
    client = kit.stack.enter_context(build_client(kit))
    return await measure_calls(fetch, lambda: client, "Hello, world!")


async def request_outside(kit: Kit) -> Measurement:
    """A request without `with`."""
    client = build_client(kit)
    return await measure_calls(fetch, lambda: client, "Hello, world!")


CASES: Final = (
    Case("TestClient request", request_inside, faster=1.5),
    Case("TestClient request, without `with`", request_outside, faster=1.5),
)
