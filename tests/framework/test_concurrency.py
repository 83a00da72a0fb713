"""Threads beside the loop."""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest

from framework.concurrency import (
    iterate_in_threadpool,
    run_in_threadpool,
    run_until_first_complete,
)

pytestmark = pytest.mark.anyio

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE")


async def test_a_function_runs_in_another_thread_with_all_its_arguments() -> None:
    def work(first: int, *, second: int) -> tuple[int, int, bool]:
        return first, second, threading.current_thread() is threading.main_thread()

    assert await run_in_threadpool(work, 1, second=2) == (1, 2, False)


async def test_context_variables_are_seen_in_the_thread_and_stay_there() -> None:
    VARIABLE.set("outside")

    def work() -> str:
        seen = VARIABLE.get()
        VARIABLE.set("inside")
        return seen

    assert await run_in_threadpool(work) == "outside"
    assert VARIABLE.get() == "outside"


async def test_an_exception_comes_back() -> None:
    def work() -> None:
        raise LookupError("from the thread")

    with pytest.raises(LookupError, match="from the thread"):
        await run_in_threadpool(work)


async def test_the_loop_goes_on_while_a_thread_blocks() -> None:
    release = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_in_threadpool, release.wait)
        await anyio.lowlevel.checkpoint()
        release.set()


async def test_a_blocking_iterator_advances_in_threads() -> None:
    threads = set()

    def steps() -> Iterator[int]:
        for number in range(3):
            threads.add(threading.current_thread())
            yield number

    assert [number async for number in iterate_in_threadpool(steps())] == [0, 1, 2]
    assert threading.main_thread() not in threads


async def test_an_iterator_may_hold_none_and_may_be_a_plain_list() -> None:
    assert [item async for item in iterate_in_threadpool([None, 0, ""])] == [None, 0, ""]


async def test_an_iterator_that_fails_fails_at_the_caller() -> None:
    def steps() -> Iterator[int]:
        yield 1
        raise LookupError("in step 2")

    iterator = aiter(iterate_in_threadpool(steps()))
    assert await anext(iterator) == 1
    with pytest.raises(LookupError, match="in step 2"):
        await anext(iterator)


async def test_the_first_to_end_cancels_the_rest() -> None:
    notes = []

    async def quick(text: str) -> None:
        notes.append(text)

    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            notes.append("slow was cancelled")

    with anyio.fail_after(5):
        await run_until_first_complete((slow, {}), (quick, {"text": "quick is done"}))
    assert notes == ["quick is done", "slow was cancelled"]


async def test_blocking_in_a_thread_is_allowed() -> None:
    await run_in_threadpool(time.sleep, 0.001)
