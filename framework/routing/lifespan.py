"""The lifespan protocol: start-up before the first request, shutdown after the last one."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

from framework.exceptions import StarletteDeprecationWarning
from framework.types import Lifespan, Receive, Scope, Send

__all__ = [
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
        async with lifespan(scope.get("app")) as state:
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
