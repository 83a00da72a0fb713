"""`/live`: a counter over WebSockets, a clock of server-sent events, a background job with progress."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio

from app.system.facts import read_worker
from app.system.live.counter import SharedCounter
from framework.channels import Channels, Subscription
from framework.concurrency import file_threads
from framework.exceptions import HTTPException
from framework.observability.health import readiness
from framework.requests import Request
from framework.responses import EventSourceResponse, JSONResponse, RedirectResponse, ServerSentEvent
from framework.routing import BaseRoute, Mount, Route, WebSocketRoute
from framework.staticfiles import StaticFiles
from framework.websockets import WebSocket

__all__ = ["LiveEndpoints"]

TOPIC: Final = "live.counter"
JOB_STEPS: Final = 12
PRESS: Final = "+1"

_FILES: Final = Path(__file__).parent / "page"


class LiveEndpoints:
    """The endpoints of the page.

    Args:
        channels: carry the counter from worker to worker.
        counter: the number itself.
        start_job: begins a job of so many steps and returns its id.
        read_job: returns what is known of a job, None when there is none.
    """

    def __init__(
        self,
        *,
        channels: Channels,
        counter: SharedCounter,
        start_job: Callable[[int], Awaitable[str]],
        read_job: Callable[[str], Awaitable[Any]],
    ) -> None:
        self.channels = channels
        self.counter = counter
        self.start_job = start_job
        self.read_job = read_job

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes of these endpoints."""
        return [
            Route("/live", self.show_page),
            WebSocketRoute("/live/counter", self.count_together),
            Route("/live/clock", self.tell_time),
            Route("/live/jobs", self.begin_job, methods=["POST"]),
            Route("/live/jobs/{job_id}", self.show_job),
            Mount("/live/page", StaticFiles(directory=_FILES, html=True), name="live-page"),
        ]

    async def show_page(self, request: Request) -> RedirectResponse:
        """Lead to the page, whose files have a folder of their own."""
        return RedirectResponse("/live/page/")

    async def count_together(self, websocket: WebSocket) -> None:
        """Count what any tab on any worker presses; tell every tab the number."""
        await websocket.accept()
        async with (
            self.channels.subscribe(TOPIC, overflow="drop_oldest") as events,
            anyio.create_task_group() as tasks,
        ):
            number = await file_threads.run(self.counter.add, 0)
            await websocket.send_json({"number": number, "slot": read_worker().slot})
            tasks.start_soon(_forward, events, websocket)
            async for text in websocket.iter_text():
                if text == PRESS:
                    number = await file_threads.run(self.counter.add, 1)
                    await self.channels.publish(TOPIC, {"number": number})
            tasks.cancel_scope.cancel()

    async def tell_time(self, request: Request) -> EventSourceResponse:
        """Tell the time once a second, until the tab or the worker ends."""
        return EventSourceResponse(_tick(), draining=_is_draining)

    async def begin_job(self, request: Request) -> JSONResponse:
        """Begin a job that outlives this request, and this process."""
        return JSONResponse({"id": await self.start_job(JOB_STEPS)}, status_code=202)

    async def show_job(self, request: Request) -> JSONResponse:
        """Tell how far a job is."""
        state = await self.read_job(request.path_params["job_id"])
        if state is None:
            raise HTTPException(404, "There is no such job.")
        return JSONResponse(state, headers={"Cache-Control": "no-store"})


async def _forward(events: Subscription, websocket: WebSocket) -> None:
    newest = -1
    async for event in events:
        # Of two workers that count at once, the later number may be published first.
        if event.data["number"] > newest:
            newest = event.data["number"]
            await websocket.send_json(event.data)


async def _tick() -> AsyncIterator[ServerSentEvent]:
    slot = read_worker().slot
    while True:
        now = datetime.now(UTC)
        yield ServerSentEvent(
            data={"time": now.strftime("%H:%M:%S"), "slot": slot}, id=int(now.timestamp())
        )
        await anyio.sleep(1 - now.microsecond / 1e6)


def _is_draining() -> bool:
    return readiness.state == "draining"
