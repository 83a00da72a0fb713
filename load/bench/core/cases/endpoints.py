"""Class-based endpoints."""

from __future__ import annotations

from typing import Any, Final

from load.bench.core.case import Case
from load.bench.core.exchange import Request, measure_request
from load.bench.core.kit import Kit
from load.bench.measurements import Measurement


async def get(kit: Kit) -> Measurement:
    """A GET that a method of a class answers."""
    response = kit.load("responses").PlainTextResponse

    async def answer(self: Any, request: Any) -> Any:
        return response("Hello, world!")

    endpoint = type("Page", (kit.load("endpoints").HTTPEndpoint,), {"get": answer})
    app = kit.build_app([kit.load("routing").Route("/", endpoint)])
    return await measure_request(app, Request(), b"Hello, world!")


CASES: Final = (Case("HTTPEndpoint", get),)
