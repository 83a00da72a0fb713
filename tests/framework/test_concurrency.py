"""Threads beside the loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

import framework.concurrency
from framework._defaults import MAX_BACKGROUND_THREADS, MAX_ENDPOINT_THREADS, MAX_FILE_THREADS
from framework.applications import App
from framework.background import BackgroundTask
from framework.concurrency import (
    ThreadPool,
    ThreadStatistics,
    background_threads,
    endpoint_threads,
    file_threads,
    iterate_in_threadpool,
    run_in_threadpool,
    run_until_first_complete,
)
from framework.exceptions import StarletteDeprecationWarning
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route
from framework.testclient import AsyncTestClient
from tests.framework.asgi import build_scope, call

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


class LeftGenerator:
    """A generator that notes where it was closed; its second step waits for `release`."""

    def __init__(self) -> None:
        self.closed_in: list[threading.Thread] = []
        self.waits = threading.Event()
        self.release = threading.Event()

    def steps(self) -> Iterator[int]:
        try:
            yield 1
            self.waits.set()
            self.release.wait(5)
            yield 2
        finally:
            self.closed_in.append(threading.current_thread())

    def check(self) -> None:
        [thread] = self.closed_in
        assert thread is not threading.main_thread()


async def test_a_generator_that_is_left_is_closed_in_a_thread() -> None:
    left = LeftGenerator()
    iterator: Any = iterate_in_threadpool(left.steps())
    assert await anext(iterator) == 1
    await iterator.aclose()
    left.check()


async def test_a_generator_that_is_cancelled_in_a_step_is_closed_after_it() -> None:
    left = LeftGenerator()

    async def consume() -> None:
        async for _ in iterate_in_threadpool(left.steps()):
            pass

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(consume)
        await anyio.to_thread.run_sync(left.waits.wait, 5)
        tasks.cancel_scope.cancel()
        left.release.set()
    left.check()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_generator_is_closed_after_its_step_when_asyncio_cancels() -> None:
    """`Task.cancel` does not wait for the thread, in which the generator still runs."""
    left = LeftGenerator()

    async def consume() -> None:
        async for _ in iterate_in_threadpool(left.steps()):
            pass

    task = asyncio.create_task(consume())
    await anyio.to_thread.run_sync(left.waits.wait, 5)
    task.cancel()
    await asyncio.sleep(0.01)
    left.release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    left.check()


async def test_a_file_that_is_left_stays_open(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("1\n2\n")
    with await run_in_threadpool(open, tmp_path / "lines") as file:
        iterator: Any = iterate_in_threadpool(file)
        assert await anext(iterator) == "1\n"
        await iterator.aclose()
        assert not file.closed


async def test_the_first_to_end_cancels_the_rest() -> None:
    notes = []

    async def quick(text: str) -> None:
        notes.append(text)

    async def slow() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            notes.append("slow was cancelled")

    with anyio.fail_after(5), pytest.warns(StarletteDeprecationWarning) as warned:
        await run_until_first_complete((slow, {}), (quick, {"text": "quick is done"}))
    assert warned[0].filename == __file__
    assert notes == ["quick is done", "slow was cancelled"]


async def test_blocking_in_a_thread_is_allowed() -> None:
    await run_in_threadpool(time.sleep, 0.001)


POOLS = (endpoint_threads, file_threads, background_threads)


@pytest.fixture(params=POOLS, ids=lambda pool: pool.name)
def pool(request: pytest.FixtureRequest) -> Iterator[ThreadPool]:
    """Each pool of the framework; its limit is put back."""
    pool: ThreadPool = request.param
    limit = pool.limit
    yield pool
    pool.limit = limit


class Blockade:
    """Blocks threads until it is lifted."""

    def __init__(self) -> None:
        self.lifted = threading.Event()

    def __call__(self) -> bool:
        return self.lifted.wait(10)

    @contextlib.asynccontextmanager
    async def hold(self, pool: ThreadPool, calls: int) -> AsyncIterator[None]:
        """Keep so many calls waiting in the threads of a pool."""
        async with anyio.create_task_group() as tasks:
            for _ in range(calls):
                tasks.start_soon(pool.run, self)
            try:
                await anyio.wait_all_tasks_blocked()
                yield
            finally:
                self.lifted.set()


async def test_a_pool_has_no_more_threads_than_its_limit() -> None:
    pool = ThreadPool("reports", 3)
    async with Blockade().hold(pool, 5):
        assert pool.limiter.borrowed_tokens == 3
        other = anyio.CapacityLimiter(1)
        statistics = await anyio.to_thread.run_sync(pool.statistics, limiter=other)
        assert statistics == ThreadStatistics(limit=3, used=3, waiting=2)
    assert pool.statistics() == ThreadStatistics(limit=3, used=0, waiting=0)


async def test_a_full_pool_leaves_the_others_free(pool: ThreadPool) -> None:
    pool.limit = 2
    async with Blockade().hold(pool, 4):
        with anyio.fail_after(2):
            for other in POOLS:
                if other is not pool:
                    assert await other.run(str.upper, "free") == "FREE"


async def test_a_limit_may_be_raised_while_calls_wait(pool: ThreadPool) -> None:
    pool.limit = 1
    async with Blockade().hold(pool, 3):
        pool.limit = 3
        await anyio.wait_all_tasks_blocked()
        assert (pool.limit, pool.limiter.borrowed_tokens) == (3, 3)


def test_a_limit_set_without_a_loop_is_for_the_loops_to_come(
    pool: ThreadPool, anyio_backend_name: str
) -> None:
    async def find_total() -> float:
        return pool.limiter.total_tokens

    pool.limit = 7
    assert anyio.run(find_total, backend=anyio_backend_name) == 7
    pool.limit = 8
    assert anyio.run(find_total, backend=anyio_backend_name) == 8
    assert pool.statistics()[1:] == (0, 0)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_pool_needs_a_thread(limit: int) -> None:
    with pytest.raises(ValueError, match=f"limit={limit} of the files threads must be at least 1"):
        file_threads.limit = limit
    with pytest.raises(ValueError, match=f"limit={limit} of the reports threads"):
        ThreadPool("reports", limit)
    assert repr(ThreadPool("reports", 2)) == "ThreadPool(name='reports', limit=2)"


async def test_the_limits_are_those_of_the_defaults() -> None:
    limits = [pool.limit for pool in POOLS]
    assert [pool.limiter.total_tokens for pool in POOLS] == limits
    assert limits == [MAX_ENDPOINT_THREADS, MAX_FILE_THREADS, MAX_BACKGROUND_THREADS]


async def find_starlette_total() -> float:
    # As the documentation of Starlette tells people to do.
    limiter = anyio.to_thread.current_default_thread_limiter()
    initial = limiter.total_tokens
    limiter.total_tokens = 5
    assert await run_in_threadpool(int) == 0
    assert endpoint_threads.limiter is limiter
    assert endpoint_threads.limiter.total_tokens == 5
    return initial


def test_the_limit_of_endpoints_may_be_set_on_the_limiter_of_anyio(
    anyio_backend_name: str,
) -> None:
    # The endpoints' number is applied to a limiter that nobody has changed, and anyio's is the one
    # the framework takes for unchanged.
    initial = anyio.run(find_starlette_total, backend=anyio_backend_name)
    assert initial == framework.concurrency._ANYIO_TOTAL


def test_a_changed_limit_of_endpoints_is_applied_to_the_limiter_of_anyio(
    anyio_backend_name: str,
) -> None:
    async def find_total() -> float:
        await run_in_threadpool(int)
        return anyio.to_thread.current_default_thread_limiter().total_tokens

    endpoint_threads.limit = 6
    try:
        assert anyio.run(find_total, backend=anyio_backend_name) == 6
    finally:
        endpoint_threads.limit = MAX_ENDPOINT_THREADS


def test_a_loop_that_is_gone_is_not_counted(anyio_backend_name: str) -> None:
    pool = ThreadPool("short", 3)

    async def use() -> int:
        return await pool.run(int)

    for _ in range(3):
        anyio.run(use, backend=anyio_backend_name)
    gc.collect()
    assert pool.statistics() == ThreadStatistics(limit=3, used=0, waiting=0)


async def test_context_variables_are_seen_in_every_pool() -> None:
    VARIABLE.set("outside")
    for pool in POOLS:
        assert await pool.run(VARIABLE.get) == "outside"


async def test_the_steps_of_an_iterator_and_sync_endpoints_take_endpoint_threads() -> None:
    seen: list[int] = []

    def note(*_: object) -> Response:
        seen.append(endpoint_threads.statistics().used)
        return Response()

    async for _ in iterate_in_threadpool(note() for _ in range(2)):
        pass
    app = App(routes=[Route("/", note)])
    await call(app, build_scope())
    assert seen == [1, 1, 1]


async def test_busy_endpoints_hold_up_no_file_and_no_async_endpoint(tmp_path: Path) -> None:
    """All endpoint threads sleep: a file is read and an async endpoint answers all the same."""
    blockade = Blockade()
    page = tmp_path / "page.txt"
    page.write_bytes(b"a page")

    def sleepy(request: Request[Any]) -> Response:
        blockade()
        return PlainTextResponse("slept")

    async def alive(request: Request[Any]) -> Response:
        return PlainTextResponse("alive")

    async def read(request: Request[Any]) -> Response:
        return Response(await file_threads.run(page.read_bytes))

    def clean_up(request: Request[Any]) -> None:
        statistics.append(background_threads.statistics().used)

    async def later(request: Request[Any]) -> Response:
        return Response(background=BackgroundTask(clean_up, request))

    statistics: list[int] = []
    routes = [Route(f"/{each.__name__}", each) for each in (sleepy, alive, read, later)]
    client = AsyncTestClient(App(routes=routes))
    async with anyio.create_task_group() as tasks:
        for _ in range(MAX_ENDPOINT_THREADS + 1):
            tasks.start_soon(client.get, "/sleepy")
        await anyio.wait_all_tasks_blocked()
        assert endpoint_threads.statistics()[1:] == (MAX_ENDPOINT_THREADS, 1)
        with anyio.fail_after(5):  # the endpoints sleep twice as long
            assert (await client.get("/alive")).text == "alive"
            assert (await client.get("/read")).text == "a page"
            assert (await client.get("/later")).status_code == 200
        assert endpoint_threads.statistics().used == MAX_ENDPOINT_THREADS
        blockade.lifted.set()
    assert statistics == [1]
