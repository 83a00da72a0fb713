"""Background tasks: order, threads, failures."""

from __future__ import annotations

import functools
import threading

import pytest

from framework.background import BackgroundTask, BackgroundTasks

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
