"""What packages for Starlette import from its private module of this name, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import anyio.abc

from framework._callables import is_async_callable
from framework._http.paths import get_route_path

__all__ = ["create_collapsing_task_group", "get_route_path", "is_async_callable"]


@asynccontextmanager
async def create_collapsing_task_group() -> AsyncGenerator[anyio.abc.TaskGroup, None]:
    """A task group that raises a single error as it is, and an `ExceptionGroup` only for several."""
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) > 1:
            raise
        error = errors.exceptions[0]
        context = None if error.__suppress_context__ else error.__context__
        raise error from error.__cause__ or context
