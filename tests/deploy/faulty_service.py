"""The service with routes beside its own that go wrong, so that every number has something to show."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from app.main import create_app
from app.settings import load_settings
from framework.background import BackgroundTask
from framework.observability.logging import configure_logging
from framework.observability.metrics import Counter
from framework.observability.middleware import ObservabilityMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route

_LABEL_SETS: Final = 1100

_many = Counter("faulty_things_total", "Things of too many kinds.", ("kind",))


async def fail(request: Request) -> Response:
    raise LookupError("it fails when it is asked")


async def block(request: Request) -> Response:
    time.sleep(float(request.query_params["seconds"]))  # noqa: ASYNC251 - this is what it is for
    return PlainTextResponse("over\n")


async def wait(request: Request) -> Response:
    await asyncio.sleep(0.5)
    return PlainTextResponse("over\n")


async def remind(request: Request) -> Response:
    return PlainTextResponse("later\n", background=BackgroundTask(_send_reminder))


async def fold(request: Request) -> Response:
    for kind in range(_LABEL_SETS):
        _many.labels(kind).inc()
    return PlainTextResponse("too many\n")


def _send_reminder() -> None:
    time.sleep(0.001)


configure_logging(format="json")
_app = create_app(load_settings())
_app.router.routes += [
    Route("/fail", fail),
    Route("/block", block),
    Route("/wait", wait),
    Route("/remind", remind),
    Route("/fold", fold),
]
app = ObservabilityMiddleware(_app)
