"""Blocking code in threads, and failures of several tasks behind one response."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from typing import Any

import anyio.to_thread

from tests.compat.harness import Case, Request

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


class BaseError(Exception):
    """An error that has a handler."""


class OtherError(Exception):
    """Another one."""


class LeafError(OtherError, BaseError):
    """An error with two parents that have a handler each."""


def read_context(suffix: str, *, prefix: str = "") -> str:
    """Say what the thread sees; what it sets has to stay there."""
    seen = VARIABLE.get()
    VARIABLE.set("of the thread")
    is_main = threading.current_thread() is threading.main_thread()
    return f"{prefix}{seen}{suffix} {'main' if is_main else 'thread'}"


def build_threads(names: Any) -> Any:
    """Build endpoints that run blocking code in every way."""

    def sync(request: Any) -> Any:
        return names.PlainTextResponse(read_context(""))

    async def pool(request: Any) -> Any:
        VARIABLE.set("of the endpoint")
        text = await names.run_in_threadpool(read_context, "!", prefix="> ")
        return names.PlainTextResponse(f"{text}, {VARIABLE.get()}")

    async def failing(request: Any) -> Any:
        await names.run_in_threadpool(int, "x")

    def numbers() -> Iterator[str]:
        yield from "123"

    async def steps(request: Any) -> Any:
        found = [step async for step in names.iterate_in_threadpool(numbers())]
        return names.JSONResponse(found)

    async def ending(request: Any) -> Any:
        await names.run_in_threadpool(next, iter(()), None)
        return names.Response()

    async def limited(request: Any) -> Any:
        # What Starlette's documentation tells people to do.
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        return names.PlainTextResponse(await names.run_in_threadpool(read_context, ""))

    routes = [names.Route(f"/{each.__name__}", each) for each in (sync, pool, failing, steps)]
    routes += [names.Route(f"/{each.__name__}", each) for each in (ending, limited)]
    return names.App(routes=routes)


def build_failing_tasks(names: Any) -> Any:
    """Build an endpoint with tasks of which two fail."""

    def fail(text: str) -> None:
        names.notes.append(text)
        raise ValueError(text)

    async def endpoint(request: Any) -> Any:
        tasks = names.BackgroundTasks()
        tasks.add_task(fail, "one")
        tasks.add_task(names.notes.append, "between")
        tasks.add_task(fail, "two")
        return names.PlainTextResponse("sent", background=tasks)

    return names.App(routes=[names.Route("/", endpoint)])


def build_parents(names: Any) -> Any:
    """Build handlers for two parents of what is raised; the order of registration is misleading."""

    def sync(request: Any) -> Any:
        raise LeafError("leaf")

    async def status(request: Any) -> Any:
        raise names.HTTPException(404, "by status")

    def say(text: str) -> Any:
        return lambda request, exc: names.PlainTextResponse(f"{text}: {exc}", status_code=422)

    return names.App(
        routes=[names.Route("/sync", sync), names.Route("/status", status)],
        exception_handlers={
            BaseError: say("base"),
            OtherError: say("other"),
            names.HTTPException: say("class"),
            404: say("status"),
        },
    )


CASES = (
    Case(
        "threads",
        build_threads,
        tuple(
            Request(path)
            for path in ("/sync", "/pool", "/failing", "/steps", "/ending", "/limited")
        ),
    ),
    Case("failing tasks", build_failing_tasks, (Request("/"),)),
    Case("handlers of two parents", build_parents, (Request("/sync"), Request("/status"))),
)
