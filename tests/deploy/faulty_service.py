"""The service with routes beside its own that go wrong, so that every number has something to show."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Final

from app.main import create_app
from app.settings import load_settings
from framework.background import BackgroundTask
from framework.concurrency import ThreadPool
from framework.observability.logging import configure_logging, get_logger
from framework.observability.metrics import Counter
from framework.observability.middleware import ObservabilityMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route

_LABEL_SETS: Final = 1100

# Of 4 KB each: more than a pipe and a worker keep for a reader that has stopped.
_LINES: Final = 400

if (Path(os.environ["SAMPLE_FOLDER"]) / "broken").exists():
    raise ImportError("it does not load any more")

_log = get_logger(__name__)
_one_thread = ThreadPool("one", 1)
_many = Counter("faulty_things_total", "Things of too many kinds.", ("kind",))


async def fail(request: Request) -> Response:
    raise LookupError("it fails when it is asked")


async def block(request: Request) -> Response:
    time.sleep(float(request.query_params["seconds"]))  # noqa: ASYNC251 - this is what it is for
    return PlainTextResponse("over\n")


async def wait(request: Request) -> Response:
    await asyncio.sleep(0.5)
    return PlainTextResponse("over\n")


async def queue(request: Request) -> Response:
    await _one_thread.run(time.sleep, 0.7)
    return PlainTextResponse("over\n")


async def shout(request: Request) -> Response:
    for _ in range(_LINES):
        _log.info("shout", text="x" * 4000)
    return PlainTextResponse("shouted\n")


async def remind(request: Request) -> Response:
    return PlainTextResponse("later\n", background=BackgroundTask(_send_reminder))


async def forget(request: Request) -> Response:
    return PlainTextResponse("never\n", background=BackgroundTask(_lose_reminder))


async def begin_hopeless_job(request: Request) -> Response:
    await request.app.state.jobs.enqueue("count", "not to a number")
    return PlainTextResponse("begun\n")


async def fold(request: Request) -> Response:
    for kind in range(_LABEL_SETS):
        _many.labels(kind).inc()
    return PlainTextResponse("too many\n")


def _send_reminder() -> None:
    time.sleep(0.001)


def _lose_reminder() -> None:
    raise ConnectionError("nobody is there")


configure_logging(format="json")
_app = create_app(load_settings())
_app.router.routes += [
    Route("/fail", fail),
    Route("/block", block),
    Route("/wait", wait),
    Route("/queue", queue),
    Route("/shout", shout),
    Route("/remind", remind),
    Route("/forget", forget),
    Route("/hopeless", begin_hopeless_job),
    Route("/fold", fold),
]
app = ObservabilityMiddleware(_app)
