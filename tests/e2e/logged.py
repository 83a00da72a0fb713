"""An application that does, when asked, whatever leaves lines in a log."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings

from structlog.contextvars import bind_contextvars

from framework.applications import App
from framework.background import BackgroundTask
from framework.concurrency import run_in_threadpool
from framework.observability.context import current_request_id
from framework.observability.logging import get_logger
from framework.observability.middleware import ObservabilityMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse
from framework.routing import Route

log = get_logger("tests.logged")


async def show_item(request: Request) -> PlainTextResponse:
    return PlainTextResponse("item")


async def fail(request: Request) -> PlainTextResponse:
    raise LookupError("broken with password=hunter2")


async def slow(request: Request) -> PlainTextResponse:
    log.info("slow")
    await asyncio.sleep(5)
    return PlainTextResponse("late")


async def read(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("read")


async def shout(request: Request) -> PlainTextResponse:
    log.info("shout", text="x" * 4000)
    return PlainTextResponse("shouted")


async def spread(request: Request) -> PlainTextResponse:
    bind_contextvars(user=current_request_id())
    log.info("bound")
    await asyncio.create_task(say("in a task"))
    await run_in_threadpool(log.info, "in a thread")
    return PlainTextResponse("x", background=BackgroundTask(say, "in the background"))


async def say(event: str) -> None:
    log.info(event)


def warn(request: Request) -> PlainTextResponse:
    warnings.warn("two\nlines", UserWarning, stacklevel=1)
    return PlainTextResponse("warned")


def crash_thread(request: Request) -> PlainTextResponse:
    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    return PlainTextResponse("crashed")


def crash() -> None:
    raise ValueError("in a thread of its own")


async def lose_task(request: Request) -> PlainTextResponse:
    task = asyncio.ensure_future(asyncio.to_thread(crash))
    await asyncio.wait([task])
    return PlainTextResponse("lost")


class Unraisable:
    def __del__(self) -> None:
        raise ValueError("nobody can catch this")


async def unraisable(request: Request) -> PlainTextResponse:
    Unraisable()
    return PlainTextResponse("ignored")


async def hang(request: Request) -> PlainTextResponse:
    time.sleep(60)  # noqa: ASYNC251 -- a worker that is taken for dead
    return PlainTextResponse("never")


app = ObservabilityMiddleware(
    App(
        routes=[
            Route("/items/{id}", show_item),
            Route("/fail", fail),
            Route("/slow", slow),
            Route("/read", read, methods=["POST"]),
            Route("/shout", shout),
            Route("/spread", spread),
            Route("/warn", warn),
            Route("/thread", crash_thread),
            Route("/task", lose_task),
            Route("/unraisable", unraisable),
            Route("/hang", hang),
        ]
    )
)
