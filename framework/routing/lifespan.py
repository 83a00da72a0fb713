"""The lifespan protocol: start-up before the first request, shutdown after the last one."""

from __future__ import annotations

import functools
import inspect
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from types import TracebackType
from typing import Any

from framework.exceptions import StarletteDeprecationWarning
from framework.tasks import TaskSupervisor
from framework.types import Lifespan, Receive, Scope, Send

__all__ = [
    "MountedLifespans",
    "build_lifespan",
    "run_lifespan",
]


@asynccontextmanager
async def _no_lifespan(app: Any) -> Any:
    yield


def build_lifespan(lifespan: Lifespan[Any] | None) -> Lifespan[Any]:
    """Return a lifespan as a callable that gives an async context manager.

    Bare (async) generator functions are accepted as Starlette does, with a deprecation warning.
    """
    if lifespan is None:
        return _no_lifespan
    if inspect.isasyncgenfunction(lifespan):
        _warn_generator("async generator")
        return asynccontextmanager(lifespan)
    if inspect.isgeneratorfunction(lifespan):
        _warn_generator("generator")
        return _lift(lifespan)
    return lifespan


def _warn_generator(kind: str) -> None:
    warnings.warn(
        f"{kind} function lifespans are deprecated; decorate an async one with "
        "contextlib.asynccontextmanager instead",
        StarletteDeprecationWarning,
        stacklevel=4,
    )


def _lift(lifespan: Callable[[Any], Iterator[Any]]) -> Lifespan[Any]:
    manager = contextmanager(lifespan)

    @asynccontextmanager
    async def lifted(app: Any) -> Any:
        with manager(app) as state:
            yield state

    return lifted


class MountedLifespans:
    """A router's own lifespan around those of all applications mounted below `routes`.

    An application takes part when it, its `router`, or what its middleware wraps (`app`) has a
    `lifespan_context`. It is entered once, however often the application is mounted; a mounted router
    is entered with the application that it belongs to.
    """

    __slots__ = ("_own", "_routes")

    def __init__(self, own: Lifespan[Any], routes: Iterable[Any]) -> None:
        self._own: Any = own
        self._routes = routes

    @asynccontextmanager
    async def __call__(self, app: Any) -> Any:
        state: dict[str, Any] = {}
        async with AsyncExitStack() as stack:
            await _enter(stack, self._own, app, state)
            owners = {id(app)}
            for owner, lifespan in _list_lifespans(self._routes, app, {id(app)}):
                # The tasks of an application belong to its own lifespan, not to those of its routers.
                is_own = id(owner) not in owners
                owners.add(id(owner))
                entered = functools.partial(_supervise, lifespan) if is_own else lifespan
                await _enter(stack, entered, owner, state)
            yield state or None


class _OrderlyExit:
    """Leaves a lifespan as at any shutdown, also where another one has failed to start or to stop.

    An error thrown into it would skip what is written behind its `yield`. A cancellation does so.
    """

    __slots__ = ("_manager",)

    def __init__(self, manager: AbstractAsyncContextManager[Any]) -> None:
        self._manager = manager

    async def leave(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if not isinstance(exc, Exception):
            return await self._manager.__aexit__(exc_type, exc, traceback)
        await self._manager.__aexit__(None, None, None)
        return False


async def _enter(stack: AsyncExitStack, lifespan: Any, app: Any, state: dict[str, Any]) -> None:
    manager = lifespan(app)
    given = await manager.__aenter__() or {}
    stack.push_async_exit(_OrderlyExit(manager).leave)
    twice = sorted(state.keys() & given.keys())
    if twice:
        raise RuntimeError(
            f"The lifespan of {app!r} yields {twice!r}, which another one has yielded before: "
            "with mount_lifespans all share one state, so rename them in one of the two"
        )
    state.update(given)


def _list_lifespans(routes: Iterable[Any], owner: Any, seen: set[int]) -> Iterator[tuple[Any, Any]]:
    """Yield the lifespan of what is mounted with the application it belongs to, outer ones first.

    What was `seen` before (by identity) is passed over, with all that is below it.
    """
    for route in routes:
        if not hasattr(route, "routes"):
            continue
        app = getattr(route, "_base_app", getattr(route, "app", None))
        while app is not None and id(app) not in seen:
            seen.add(id(app))
            router = getattr(app, "router", app)
            lifespan = getattr(router, "lifespan_context", None)
            if lifespan is not None:
                owner_below = owner if router is app else app
                yield owner_below, lifespan
                yield from _list_lifespans(router.routes, owner_below, seen)
                break
            app = getattr(app, "app", None)


@asynccontextmanager
async def _supervise(lifespan: Callable[[Any], AbstractAsyncContextManager[Any]], app: Any) -> Any:
    """Enter a lifespan with `app.tasks` open: tasks may start in it, and end before it is left.

    A second lifespan of an application that runs, as nested test clients have, has none: they are the first's.
    """
    tasks = getattr(app, "tasks", None)
    if not isinstance(tasks, TaskSupervisor) or tasks.is_open:
        async with lifespan(app) as state:
            yield state
        return
    async with tasks.open(), lifespan(app) as state:
        tasks.begin()
        try:
            yield state
        finally:
            await tasks.drain()


async def run_lifespan(
    lifespan: Callable[[Any], AbstractAsyncContextManager[Any]],
    scope: Scope,
    receive: Receive,
    send: Send,
) -> None:
    """Serve one lifespan scope with `lifespan`, putting the state that it gives into the scope.

    Raises:
        BaseException: whatever start-up or shutdown raised, after it was reported to the server.
        RuntimeError: the lifespan gives state and the server does not support that.
    """
    started = False
    await receive()
    try:
        async with _supervise(lifespan, scope.get("app")) as state:
            if state is not None:
                if "state" not in scope:
                    raise RuntimeError('The server does not support "state" in the lifespan scope.')
                scope["state"].update(state)
            await send({"type": "lifespan.startup.complete"})
            started = True
            await receive()
    except BaseException:
        phase = "shutdown" if started else "startup"
        await send({"type": f"lifespan.{phase}.failed", "message": traceback.format_exc()})
        raise
    await send({"type": "lifespan.shutdown.complete"})
