"""The applications that `load.bench server` puts behind gunicorn. All answer the same JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from framework.applications import App
from framework.observability.logging import configure_logging
from framework.observability.metrics import Counter
from framework.observability.middleware import ObservabilityMiddleware
from framework.requests import Request
from framework.responses import JSONResponse
from framework.routing import Route
from framework.types import ASGIApp


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request without a framework; the lifespan is accepted and nothing else."""
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    body = msgspec.json.encode({"message": "Hello, world!"})
    headers = [
        (b"content-length", str(len(body)).encode("latin-1")),
        (b"content-type", b"application/json"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_json(request: Request[Any]) -> JSONResponse:
    """Answer like the bare callable."""
    return JSONResponse({"message": "Hello, world!"})


app = App(routes=[Route("/json", answer_json)])


def build_observed() -> ASGIApp:
    """Wrap the application in request id, access line and metrics, as the service does."""
    configure_logging(format="json")
    return ObservabilityMiddleware(app)


def build_scraped() -> ASGIApp:
    """Have 5,000 series in each worker besides, as a large service does."""
    for number in range(5):
        things = Counter(f"scraped_things_{number}_total", "Things by kind.", ("kind",))
        for kind in range(1000):
            things.labels(f"a kind of things with the number {kind}").inc()
    return build_observed()
