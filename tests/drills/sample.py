"""The application under the drills: slow, stubborn or broken, as it is told."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from framework.applications import App
from framework.background import BackgroundTask
from framework.middleware import Middleware
from framework.middleware.admission import Admission, AdmissionMiddleware
from framework.observability.health import readiness
from framework.requests import Request
from framework.responses import EventSourceResponse, JSONResponse, Response, StreamingResponse
from framework.routing import Route, WebSocketRoute
from framework.websockets import WebSocket, WebSocketDisconnect

FOLDER: Final = Path(os.environ["SAMPLE_FOLDER"])
STARTUP_SECONDS: Final = float(os.environ.get("STARTUP_SECONDS", "0"))
PLACES: Final = int(os.environ.get("PLACES", "0"))
"""Requests that are admitted at once; 0 is all."""

_CHUNK: Final = bytes(64 * 1024)


def answer(status: int = 200) -> JSONResponse:
    return JSONResponse({"state": readiness.state}, status, {"X-Worker": str(os.getpid())})


async def show(request: Request) -> Response:
    return answer()


async def say_alive(request: Request) -> Response:
    return answer()


async def say_ready(request: Request) -> Response:
    return answer(200 if readiness.state == "ready" else 503)


async def wait(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params["seconds"]))
    return answer()


async def block(request: Request) -> Response:
    time.sleep(float(request.query_params["seconds"]))  # noqa: ASYNC251 - that is the fault
    return answer()


async def work(request: Request) -> Response:
    """Wait for something, then use the processor, as most handlers do."""
    await asyncio.sleep(0.001)
    # Asleep, it would lose the processor to who shares the machine.
    end = time.perf_counter() + 0.005
    while time.perf_counter() < end:
        pass
    return answer()


async def take(request: Request) -> Response:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return JSONResponse(size)


async def give_large(request: Request) -> Response:
    query = request.query_params
    return StreamingResponse(_give(int(query["bytes"]), query.get("name")))


async def _give(size: int, name: str | None) -> AsyncIterator[bytes]:
    try:
        for _ in range(size // len(_CHUNK)):
            yield _CHUNK
    finally:
        if name is not None:
            (FOLDER / f"left-{name}").touch()


async def stream_events(request: Request) -> Response:
    return EventSourceResponse(_tick(), draining=lambda: readiness.state == "draining")


async def _tick() -> AsyncIterator[str]:
    while True:
        yield "tick"
        await asyncio.sleep(0.2)


async def accept_task(request: Request) -> Response:
    task = BackgroundTask(_finish_later, float(request.query_params["seconds"]))
    return JSONResponse("accepted", background=task)


async def _finish_later(seconds: float) -> None:
    await asyncio.sleep(seconds)
    (FOLDER / "task-done").touch()


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect as exc:
        (FOLDER / f"disconnect-{exc.code}").touch()


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    await asyncio.sleep(STARTUP_SECONDS)
    if (FOLDER / "fail-startup").exists():
        raise ConnectionError("the database is away")
    readiness.set_ready()
    (FOLDER / f"startup-{os.getpid()}").touch()
    yield
    (FOLDER / f"shutdown-{os.getpid()}").touch()


app = App(
    routes=[
        Route("/", show),
        Route("/livez", say_alive),
        Route("/readyz", say_ready),
        Route("/wait", wait),
        Route("/block", block),
        Route("/work", work),
        Route("/large", give_large),
        Route("/events", stream_events),
        Route("/take", take, methods=["POST"]),
        Route("/task", accept_task, methods=["POST"]),
        WebSocketRoute("/echo", echo),
    ],
    middleware=[
        Middleware(
            AdmissionMiddleware,
            admission=Admission(PLACES, max_waiting=PLACES, max_wait=0.5),
            exempt=("/livez", "/readyz"),
        )
    ]
    if PLACES
    else [],
    lifespan=lifespan,
    max_body_size=64 * 1024 * 1024,
)
