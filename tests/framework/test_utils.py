"""The names that packages for Starlette import from its private module."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from framework import _callables, _utils
from framework._http import paths

pytestmark = pytest.mark.anyio


def test_two_are_those_of_ours() -> None:
    assert _utils.get_route_path is paths.get_route_path
    assert _utils.is_async_callable is _callables.is_async_callable


async def test_one_error_of_a_task_group_is_raised_as_it_is() -> None:
    cause, context = KeyError("cause"), LookupError("context")

    async def fail() -> None:
        try:
            raise context
        except LookupError:
            raise ValueError("failed") from cause

    with pytest.raises(ValueError, match="failed") as caught:
        async with _utils.create_collapsing_task_group() as group:
            group.start_soon(fail)
    assert caught.value.__cause__ is cause


async def test_several_errors_stay_a_group() -> None:
    async def fail() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError("failed")

    async def run() -> None:
        async with _utils.create_collapsing_task_group() as group:
            group.start_soon(fail)
            group.start_soon(fail)
            await anyio.lowlevel.checkpoint()
            group.cancel_scope.cancel()

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert [str(error) for error in caught.value.exceptions] == ["failed", "failed"]
