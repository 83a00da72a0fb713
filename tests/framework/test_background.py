"""Background tasks: order, threads, failures."""

from __future__ import annotations

import functools
import threading
from typing import Any

import anyio
import pytest

from framework.applications import App
from framework.background import BackgroundTask, BackgroundTasks, observe_background_tasks
from framework.concurrency import background_threads, endpoint_threads
from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from framework.routing import Route
from framework.testclient import AsyncTestClient

pytestmark = pytest.mark.anyio


class Notes(list[str]):
    """What tasks have done."""

    async def note(self, text: str, *, fail: bool = False) -> None:
        self.append(text)
        if fail:
            raise ValueError(text)

    def note_thread(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        self.append("main thread" if main else "other thread")


async def test_a_coroutine_function_is_awaited_with_its_arguments() -> None:
    notes = Notes()
    await BackgroundTask(notes.note, text="done")()
    assert notes == ["done"]


async def test_a_sync_function_runs_in_a_thread() -> None:
    notes = Notes()
    await BackgroundTask(notes.note_thread)()
    assert notes == ["other thread"]


async def test_partials_and_objects_are_known_as_async() -> None:
    notes = Notes()

    class Callable:
        async def __call__(self) -> None:
            notes.append("object")

    await BackgroundTask(functools.partial(functools.partial(notes.note), "partial"))()
    await BackgroundTask(Callable())()
    assert notes == ["partial", "object"]


async def test_tasks_run_in_order() -> None:
    notes = Notes()
    tasks = BackgroundTasks([BackgroundTask(notes.note, "first")])
    tasks.add_task(notes.note_thread)
    tasks.add_task(notes.note, text="last")
    await tasks()
    assert notes == ["first", "other thread", "last"]


async def test_no_tasks_are_fine() -> None:
    await BackgroundTasks()()


async def test_the_given_list_is_not_changed() -> None:
    given = [BackgroundTask(Notes().note, "x")]
    BackgroundTasks(given).add_task(Notes().note, "y")
    assert len(given) == 1


async def test_a_failure_does_not_take_the_others_along() -> None:
    notes = Notes()
    tasks = BackgroundTasks()
    tasks.add_task(notes.note, "bad", fail=True)
    tasks.add_task(notes.note, "good")
    with pytest.raises(ValueError, match="bad"):
        await tasks()
    assert notes == ["bad", "good"]


async def test_several_failures_are_raised_together_in_order() -> None:
    notes = Notes()
    tasks = BackgroundTasks()
    tasks.add_task(notes.note, "one", fail=True)
    tasks.add_task(notes.note, "good")
    tasks.add_task(notes.note, "two", fail=True)
    with pytest.raises(ExceptionGroup, match="2 background tasks failed") as caught:
        await tasks()
    assert [str(exc) for exc in caught.value.exceptions] == ["one", "two"]
    assert notes == ["one", "good", "two"]


async def test_tasks_show_what_they_call() -> None:
    task = BackgroundTask(test_no_tasks_are_fine)
    assert "test_no_tasks_are_fine" in repr(task)
    assert "test_no_tasks_are_fine" in repr(BackgroundTasks([task]))


class Observer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, BaseException | None]] = []

    def __call__(self, name: str, seconds: float, error: BaseException | None) -> None:
        self.told.append((name, seconds, error))


async def test_an_observer_is_told_of_every_task_with_its_name_and_its_end() -> None:
    notes, observer = Notes(), Observer()
    tasks = BackgroundTasks()
    tasks.add_task(notes.note, "bad", fail=True)
    tasks.add_task(functools.partial(notes.note_thread))
    with observe_background_tasks(observer), pytest.raises(ValueError, match="bad"):
        await tasks()
    await BackgroundTask(notes.note, "unobserved")()
    (name, _, error), (thread_name, _, nothing) = observer.told
    assert name.endswith("test_background.Notes.note")
    assert thread_name.endswith("test_background.Notes.note_thread")
    assert isinstance(error, ValueError)
    assert nothing is None


async def test_the_time_that_a_task_took_is_told() -> None:
    observer = Observer()
    with observe_background_tasks(observer):
        await BackgroundTask(anyio.sleep, 0.02)()
    assert observer.told[0][0].startswith("anyio.")
    assert 0.02 <= observer.told[0][1] < 5


async def test_a_cancelled_task_is_told_too() -> None:
    observer = Observer()
    with observe_background_tasks(observer), anyio.move_on_after(0.01):
        await BackgroundTask(anyio.sleep_forever)()
    assert isinstance(observer.told[0][2], anyio.get_cancelled_exc_class())


async def test_several_observers_are_told_and_leave_in_any_order() -> None:
    one, two = Observer(), Observer()
    first, second = observe_background_tasks(one), observe_background_tasks(two)
    task = BackgroundTask(Notes().note, "x")
    with second:
        with first:
            await task()
        await task()
    first, second = observe_background_tasks(one), observe_background_tasks(two)
    first.__enter__()
    with second:
        first.__exit__(None, None, None)
        await task()
    await task()
    assert (len(one.told), len(two.told)) == (1, 3)


async def test_a_task_may_be_given_another_name() -> None:
    task = BackgroundTask(print)
    assert task.name == "builtins.print"
    task.name = "mail"
    assert task.name == "mail"


async def test_a_subclass_may_name_its_tasks() -> None:
    class Mail(BackgroundTask):
        name = "mail"

    observer = Observer()
    with observe_background_tasks(observer):
        await Mail(Notes().note, "x")()
    assert [name for name, _, _ in observer.told] == ["mail"]


async def test_sync_tasks_have_threads_of_their_own() -> None:
    used: list[tuple[int, int]] = []

    def task() -> None:
        used.append((background_threads.statistics().used, endpoint_threads.statistics().used))

    await BackgroundTask(task)()
    assert used == [(1, 0)]


async def test_many_sync_tasks_do_not_delay_a_sync_endpoint() -> None:
    """starlette#1724: with one limit for all, forty sleeping tasks freeze every sync endpoint."""
    lifted = threading.Event()

    async def schedule(request: Request[Any]) -> Response:
        return PlainTextResponse("scheduled", background=BackgroundTask(lifted.wait, 10))

    def endpoint(request: Request[Any]) -> Response:
        return PlainTextResponse("in time")

    client = AsyncTestClient(App(routes=[Route("/schedule", schedule), Route("/", endpoint)]))
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(client.get, "/schedule")
        await anyio.wait_all_tasks_blocked()
        assert background_threads.statistics()[1:] == (background_threads.limit, 80)
        with anyio.fail_after(5):
            assert (await client.get("/")).text == "in time"
        lifted.set()


async def test_a_failing_task_fails_after_the_answer_and_the_others_run() -> None:
    notes = Notes()

    async def endpoint(request: Request[Any]) -> Response:
        tasks = BackgroundTasks()
        tasks.add_task(notes.note, "one", fail=True)
        tasks.add_task(notes.note, "two")
        tasks.add_task(notes.note, "three", fail=True)
        return PlainTextResponse("answered", background=tasks)

    app = App(routes=[Route("/", endpoint)])
    with pytest.raises(ExceptionGroup, match="2 background tasks failed"):
        await AsyncTestClient(app).get("/")
    client = AsyncTestClient(app, raise_server_exceptions=False)
    assert (await client.get("/")).text == "answered"
    assert notes == ["one", "two", "three"] * 2
