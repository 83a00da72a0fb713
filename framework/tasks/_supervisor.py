"""`TaskSupervisor`: the tasks of an application, bounded, observed, and drained at shutdown."""

from __future__ import annotations

import contextvars
import importlib
import logging
import os
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Final, NamedTuple

import anyio
import anyio.abc

from framework._defaults import (
    MAX_TASKS_NAMED,
    MAX_TASKS_RUNNING,
    MAX_TASKS_WAITING,
    PERIODIC_JITTER,
    TASK_DRAIN_SECONDS,
    TASK_TIMEOUT_SECONDS,
)
from framework.background import report_background_task
from framework.exceptions import TooManyTasks
from framework.tasks._periodic import PeriodicTask
from framework.tasks._task import Task, check_options

__all__ = ["RUN_DIRECTORY_VARIABLE", "TaskStatistics", "TaskSupervisor"]

RUN_DIRECTORY_VARIABLE: Final = "SLIPWAY_RUN_DIRECTORY"
"""Names the private folder that all workers of a service share; the server sets it."""

_logger = logging.getLogger("framework.tasks")


class TaskStatistics(NamedTuple):
    """Tasks of one application in this process: how many run, how many wait for their turn."""

    running: int
    waiting: int


class TaskSupervisor:
    """Runs tasks from the beginning of the lifespan of an application to its end.

    A task is lost when its process is killed; see *Durable jobs* in `app/README.md` for those that
    must not be.

    Args:
        max_running: tasks that run at the same time.
        max_waiting: tasks that wait for their turn; one more is refused.
        drain_seconds: how long a shutdown waits for tasks, those that wait included.
        lock_folder: shared by all processes of the service on this machine; a periodic task runs in the
            one of them that holds its lock there. None: the environment variable
            `SLIPWAY_RUN_DIRECTORY`, which the server sets. Without it each process runs them all.
    """

    def __init__(
        self,
        *,
        max_running: int = MAX_TASKS_RUNNING,
        max_waiting: int = MAX_TASKS_WAITING,
        drain_seconds: float = TASK_DRAIN_SECONDS,
        lock_folder: str | os.PathLike[str] | None = None,
    ) -> None:
        if max_running < 1:
            raise ValueError(f"max_running={max_running!r} must be at least 1")
        if max_waiting < 0:
            raise ValueError(f"max_waiting={max_waiting!r} must be at least 0")
        self.max_running = max_running
        self.max_waiting = max_waiting
        self.drain_seconds = drain_seconds
        self.lock_folder = lock_folder
        self._running: set[Task] = set()
        self._waiting: deque[Task] = deque()
        self._periodic: dict[str, PeriodicTask] = {}
        self._group: anyio.abc.TaskGroup | None = None
        self._thread = 0
        self._has_begun = False
        self._stopping: anyio.Event | None = None
        self._idle: anyio.Event | None = None

    def start_soon(
        self,
        name: str,
        func: Callable[..., Any],
        *args: Any,
        retries: int = 0,
        timeout: float | None = TASK_TIMEOUT_SECONDS,
    ) -> None:
        """Call `func(*args)` soon, in the event loop or, when it is sync, in a background thread.

        It does not wait: a task beyond `max_running` gets in line. A sync endpoint may call it too.

        Args:
            name: says in logs and metrics what it is; from code, never from a client.
            func: sync or async; its result is dropped.
            args: for `func`; use `functools.partial` for named ones.
            retries: attempts after the first, each after a longer pause with a random part.
            timeout: seconds of one attempt; None for no limit.

        Raises:
            TypeError: `func` is no function, but what its call has made.
            TooManyTasks: the line is full; an HTTP endpoint that lets it pass answers 503.
            RuntimeError: the application is not running.
        """
        check_options(name, func, retries, timeout)
        task = Task(name, func, args, retries, timeout)
        if self._group is None or self._thread == threading.get_ident():
            self._admit(task)
        else:
            # Loaded when it is needed: it takes a twentieth of the time that the framework may take.
            from_thread = importlib.import_module("anyio.from_thread")
            from_thread.run_sync(self._admit_from_thread, task)

    def every(
        self,
        seconds: float,
        name: str,
        func: Callable[..., Any],
        *args: Any,
        jitter: float = PERIODIC_JITTER,
        retries: int = 0,
        timeout: float | None = TASK_TIMEOUT_SECONDS,
    ) -> None:
        """Call `func(*args)` every so many seconds, on one worker of the machine.

        The first run is at start-up. When the worker dies another takes over within seconds, and keeps
        to the times of the first. Call it where the application is made, or in its lifespan.

        Args:
            seconds: from one beginning to the next.
            name: as for `start_soon`; no two periodic tasks have the same.
            func: sync or async.
            args: for `func`.
            jitter: at most this part of `seconds` is added to each pause, at random.
            retries: as for `start_soon`.
            timeout: as for `start_soon`.

        Raises:
            ValueError: there is a periodic task with this name, or a value makes no sense.
        """
        if name in self._periodic:
            raise ValueError(f"There is a periodic task {name!r} already: use another name")
        task = PeriodicTask(
            name, seconds, func, args, jitter=jitter, retries=retries, timeout=timeout
        )
        self._periodic[name] = task
        if self._has_begun:
            self._repeat(task)

    def statistics(self) -> TaskStatistics:
        """Count the tasks; may be called from any thread."""
        return TaskStatistics(len(self._running), len(self._waiting))

    @property
    def is_open(self) -> bool:
        """Whether tasks can start."""
        return self._group is not None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Take tasks within the block; those that are left at its end are cancelled.

        Raises:
            RuntimeError: the block is entered a second time.
        """
        if self.is_open:
            raise RuntimeError("The tasks of this application run already, in another lifespan")
        known = dict(self._periodic)
        failure: BaseException | None = None
        async with anyio.create_task_group() as group:
            self._group = group
            self._thread = threading.get_ident()
            self._stopping = anyio.Event()
            try:
                yield
            except (anyio.get_cancelled_exc_class(), GeneratorExit):
                raise
            except BaseException as exc:
                # Kept out of the exception group that the task group would make of it.
                failure = exc
            finally:
                self._abandon()
                self._periodic = known
                self._has_begun = False
                self._group = None
                group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def begin(self) -> None:
        """Begin with the periodic tasks: the application has started."""
        self._has_begun = True
        for task in self._periodic.values():
            self._repeat(task)

    async def drain(self) -> None:
        """Begin no more periodic runs, and wait for all tasks, at most `drain_seconds`."""
        if self._stopping is not None:
            self._stopping.set()
        with anyio.move_on_after(self.drain_seconds):
            while self._running or self._waiting:
                self._idle = anyio.Event()
                await self._idle.wait()

    def _admit(self, task: Task) -> None:
        if self._group is None:
            raise RuntimeError(
                f"Task {task.name!r} cannot start: its application has not started or has stopped. "
                "A mounted application starts with App(mount_lifespans=True); durable jobs need neither"
            )
        if len(self._running) < self.max_running:
            self._start(task)
        elif len(self._waiting) < self.max_waiting:
            self._waiting.append(task)
        else:
            raise TooManyTasks(task.name, self.max_running, self.max_waiting)

    def _admit_from_thread(self, task: Task) -> None:
        # The context of the thread, with the event loop known in it again.
        task.context = contextvars.copy_context()
        self._admit(task)

    def _start(self, task: Task) -> None:
        if self._group is not None:
            self._running.add(task)
            task.context.run(self._spawn, self._group, task)

    def _spawn(self, group: anyio.abc.TaskGroup, task: Task) -> None:
        group.start_soon(self._run, task, name=task.name)

    def _repeat(self, task: PeriodicTask) -> None:
        if self._group is None or self._stopping is None:
            return
        variable = os.environ.get(RUN_DIRECTORY_VARIABLE)
        folder = self.lock_folder or variable or None
        self._group.start_soon(task.repeat, self._start, self._stopping, folder, name=task.name)

    async def _run(self, task: Task) -> None:
        began = perf_counter()
        try:
            await task.run()
        except Exception as exc:
            self._end(task, began, exc)
        except BaseException as exc:
            self._end(task, began, exc)
            raise
        else:
            self._end(task, began, None)

    def _end(self, task: Task, began: float, error: BaseException | None) -> None:
        self._running.discard(task)
        _report(task, perf_counter() - began, error)
        if task.ended is not None:
            task.ended.set()
        while self._waiting and len(self._running) < self.max_running:
            self._start(self._waiting.popleft())
        if self._idle is not None and not self._running:
            self._idle.set()

    def _abandon(self) -> None:
        """Name what is cancelled, and count what has not even begun."""
        left = [f"{task.name} (running)" for task in self._running]
        left += [f"{task.name} (waiting)" for task in self._waiting]
        if left:
            names = ", ".join(left[:MAX_TASKS_NAMED])
            more = f" and {len(left) - MAX_TASKS_NAMED} more" if len(left) > MAX_TASKS_NAMED else ""
            _logger.warning("Not finished when the application stopped: %s%s", names, more)
        while self._waiting:
            task = self._waiting.popleft()
            # What a coroutine is given that is closed before its end.
            task.context.run(_report, task, 0.0, GeneratorExit("it has not begun"))


def _report(task: Task, seconds: float, error: BaseException | None) -> None:
    is_reported = report_background_task(task.name, seconds, error)
    if isinstance(error, Exception) and not is_reported:
        _logger.error("Task %r has failed", task.name, exc_info=error)
