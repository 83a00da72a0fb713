"""A thread that notices when the event loop is blocked, and says by which line of code.

A callback on the loop takes the time ten times a second; how late it comes is the lag of the loop. A
thread looks four times a second whether it has come at all. A loop that has stood still for a second is
reported with its stack, once, and again with the total when it goes on.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

from framework.observability._limits import (
    BLOCKED_LOOP_SECONDS,
    LOOP_BEAT_SECONDS,
    LOOP_LOOK_SECONDS,
)
from framework.observability._tracebacks import list_stack
from framework.observability.logging import get_logger

__all__ = ["LagObserver", "LoopWatchdog", "add_lag_observer", "remove_lag_observer"]

LagObserver = Callable[[float], object]
"""Takes the lag of the event loop in seconds; called on the loop, ten times a second."""

_observers: Final[list[LagObserver]] = []

_log = get_logger(__name__)


def add_lag_observer(observer: LagObserver) -> None:
    """Have `observer` called with each measured lag of the loops of this process, from now on."""
    _observers.append(observer)


def remove_lag_observer(observer: LagObserver) -> None:
    """Call `observer` no more. Raises `ValueError` when it was not added."""
    _observers.remove(observer)


class LoopWatchdog:
    """Watches the running event loop of the thread that enters it: `with LoopWatchdog(): ...`.

    Args:
        blocked_seconds: how long the loop may stand still before that is reported.
        beat_seconds: time between two beats of the loop.
        look_seconds: time between two looks of the thread.
    """

    def __init__(
        self,
        *,
        blocked_seconds: float = BLOCKED_LOOP_SECONDS,
        beat_seconds: float = LOOP_BEAT_SECONDS,
        look_seconds: float = LOOP_LOOK_SECONDS,
    ) -> None:
        self._blocked_seconds = blocked_seconds
        self._beat_seconds = beat_seconds
        self._look_seconds = look_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._thread_id = 0
        self._last_beat = 0.0
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._last_beat = time.monotonic()
        self._timer = self._loop.call_later(self._beat_seconds, self._beat)
        threading.Thread(target=self._watch, name="loop-watchdog", daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        now = time.monotonic()
        lag = max(0.0, now - self._last_beat - self._beat_seconds)
        self._last_beat = now
        for observer in _observers:
            try:
                observer(lag)
            except Exception:
                _log.warning("loop lag not observed", exc_info=True)
        if lag >= self._blocked_seconds:
            # Code that never lets another thread run (an extension) is seen here only.
            _log.warning("event loop goes on", blocked_seconds=round(lag, 3))
        if self._loop is not None and not self._stopped.is_set():
            self._timer = self._loop.call_later(self._beat_seconds, self._beat)

    def _watch(self) -> None:
        reported = 0.0
        looked = time.monotonic()
        while not self._stopped.wait(self._look_seconds):
            now, before = time.monotonic(), looked
            looked = now
            beat = self._last_beat
            if beat == reported or now - beat < self._blocked_seconds + self._beat_seconds:
                continue
            # When the whole process stood still, the loop is not to blame: it gets another look.
            if now - before >= self._blocked_seconds:
                continue
            frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 - the only way
            if frame is not None and beat == self._last_beat:
                reported = beat
                _report(frame, now - beat - self._beat_seconds)


def _report(frame: FrameType, seconds: float) -> None:
    frames: list[dict[str, Any]] = list_stack(frame)
    innermost = frames[-1]
    _log.error(
        "event loop is blocked",
        blocked_seconds=round(seconds, 3),
        at=f"{innermost['file']}:{innermost['line']}",
        frames=frames,
    )
