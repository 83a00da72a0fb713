"""Lifespan: the same messages, state and exceptions as Starlette."""

from __future__ import annotations

import asyncio
import contextlib
import warnings
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.compat.harness import load_names


@dataclass
class Outcome:
    """What came out of a lifespan; tracebacks are reduced to their last line."""

    messages: list[tuple[str, str]]
    raised: str
    notes: list[str]
    state: dict[str, Any] | None
    warned: list[str]


def run_lifespan(library: str, build: Any, *, has_state: bool = True) -> Outcome:
    """Start and stop an application as a server does."""
    names = load_names(library)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        app = build(names)
    messages: list[tuple[str, str]] = []
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
    if has_state:
        scope["state"] = {"from_server": 1}

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        lines = message.get("message", "").strip().splitlines()
        messages.append((message["type"], lines[-1] if lines else ""))

    raised = ""
    try:
        asyncio.run(app(scope, receive, send))
    except BaseException as exc:
        raised = f"{type(exc).__name__}: {exc}"
    kinds = [warning.category.__name__ for warning in caught]
    return Outcome(messages, raised, names.notes, scope.get("state"), kinds)


def build_none(names: Any) -> Any:
    return names.App()


def build_plain(names: Any) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        names.notes.append(f"start of {type(app) is names.App}")
        yield
        names.notes.append("stop")

    return names.App(lifespan=lifespan)


def build_state(names: Any) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        yield {"pool": "p"}

    return names.App(lifespan=lifespan)


def build_failing_start(names: Any) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if app is not None:
            raise ValueError("no database")
        yield

    return names.App(lifespan=lifespan)


def build_failing_stop(names: Any) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        yield
        raise ValueError("cannot close")

    return names.App(lifespan=lifespan)


def build_exit(names: Any) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        if app is not None:
            raise SystemExit(3)
        yield

    return names.App(lifespan=lifespan)


def build_async_generator(names: Any) -> Any:
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        names.notes.append("start")
        yield {"a": 1}
        names.notes.append("stop")

    return names.App(lifespan=lifespan)


def build_generator(names: Any) -> Any:
    def lifespan(app: Any) -> Iterator[dict[str, Any]]:
        names.notes.append("start")
        yield {"a": 1}
        names.notes.append("stop")

    return names.App(lifespan=lifespan)


def build_with_middleware(names: Any) -> Any:
    class Note:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            names.notes.append(f"{scope['type']} in")
            await self.app(scope, receive, send)
            names.notes.append(f"{scope['type']} out")

    return names.App(middleware=[names.Middleware(Note)], max_body_size=10)


def build_router(names: Any) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        names.notes.append(f"app is {app}")
        yield

    return names.Router(lifespan=lifespan)


BUILDERS = (
    build_none,
    build_plain,
    build_state,
    build_failing_start,
    build_failing_stop,
    build_exit,
    build_async_generator,
    build_generator,
    build_with_middleware,
    build_router,
)


@pytest.mark.parametrize("has_state", [True, False], ids=["with state", "without state"])
@pytest.mark.parametrize("build", BUILDERS)
def test_the_lifespan_goes_as_in_starlette(build: Any, has_state: bool) -> None:
    theirs = run_lifespan("starlette", build, has_state=has_state)
    ours = run_lifespan("framework", build, has_state=has_state)
    assert ours == theirs


def test_the_comparison_sees_what_happened() -> None:
    started = run_lifespan("framework", build_state)
    assert started.messages == [
        ("lifespan.startup.complete", ""),
        ("lifespan.shutdown.complete", ""),
    ]
    assert started.state == {"from_server": 1, "pool": "p"}
    failed = run_lifespan("framework", build_failing_start)
    assert failed.messages == [("lifespan.startup.failed", "ValueError: no database")]
    assert failed.raised == "ValueError: no database"
