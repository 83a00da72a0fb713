"""Of many equal warnings and errors a few are written, and how many were left out.

Lines are equal when level, logger, event, type of the exception and the line that raised it are. Ten of
them are written, then none until ten seconds after the first; a line with `suppressed` says how many
were left out. Access lines, like everything below `warning`, are always written.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from structlog import DropEvent

from framework.observability._limits import LINES_OF_A_STORM, MAX_STORMS, STORM_SECONDS

_LEVELS: Final = frozenset({"warning", "error", "critical"})
_MAX_EVENT_CHARACTERS: Final = 200

_Key = tuple[Any, ...]
_VARIOUS: Final[_Key] = ("warning", "framework.log", "very many different events")

WriteSummary = Callable[[str, str, str, dict[str, Any]], None]
"""Takes level, logger, event and fields of the line that says what was left out."""


class _Storm:
    """One window of equal lines."""

    __slots__ = ("count", "end", "event", "level", "logger")

    def __init__(self, level: str, logger: str, event: str, end: float) -> None:
        self.level = level
        self.logger = logger
        self.event = event
        self.end = end
        self.count = 0

    @property
    def suppressed(self) -> int:
        """How many lines were left out."""
        return max(0, self.count - LINES_OF_A_STORM)

    def is_over(self, now: float) -> bool:
        """Say whether equal lines are written again; not before it was said what was left out."""
        return now >= self.end and self.count <= LINES_OF_A_STORM


class StormGate:
    """Decides which lines are written; safe for threads.

    Args:
        write_summary: writes the line that says what was left out.
        clock: tells seconds.
    """

    def __init__(
        self, write_summary: WriteSummary, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.write_summary = write_summary
        self._clock = clock
        self._storms: dict[_Key, _Storm] = {}
        self.reset()

    def reset(self) -> None:
        """Forget everything: a forked process has neither the threads nor the storms of its parent."""
        # A signal handler may log while the same thread is here.
        self._lock = threading.RLock()
        self._storms.clear()
        self._is_reporting = False
        self._swept_at = 0.0

    def __call__(self, logger: Any, level: str, event: Any) -> Any:
        """Let an event pass or raise `DropEvent`: a processor of structlog."""
        if level in _LEVELS and not self.admit(
            level, logger.name, str(event.get("event")), find_exception(event)
        ):
            raise DropEvent
        return event

    def admit(
        self, level: str, logger: str, event: str, exc: BaseException | None = None, *more: Hashable
    ) -> bool:
        """Say whether this line is to be written; what is in `more` tells lines apart too."""
        event = event[:_MAX_EVENT_CHARACTERS]
        key = (level, logger, event, type(exc), _find_place(exc), *more)
        now = self._clock()
        with self._lock:
            storm = self._storms.get(key)
            if storm is None or storm.is_over(now):
                storm = self._begin(key, now)
            storm.count += 1
            if storm.count <= LINES_OF_A_STORM:
                return True
            if not self._is_reporting:
                self._is_reporting = start_thread(self._report)
            return False

    def flush(self) -> None:
        """Write what has not been said yet: the process ends."""
        self._say(self._take(math.inf)[0])

    def _begin(self, key: _Key, now: float) -> _Storm:
        if len(self._storms) >= MAX_STORMS:
            if now >= self._swept_at + 1:
                self._swept_at = now
                quiet = [known for known, storm in self._storms.items() if storm.is_over(now)]
                for known in quiet:
                    del self._storms[known]
            if len(self._storms) >= MAX_STORMS:
                # Very many different events, which clients may have brought about, are one storm.
                key = _VARIOUS
                if key in self._storms and not self._storms[key].is_over(now):
                    return self._storms[key]
        level, logger, event = key[:3]
        storm = self._storms[key] = _Storm(level, logger, event, now + STORM_SECONDS)
        return storm

    def _take(self, now: float) -> tuple[list[_Storm], bool]:
        with self._lock:
            over = {key: storm for key, storm in self._storms.items() if storm.end <= now}
            for key in over:
                del self._storms[key]
            storms = self._storms.values()
            self._is_reporting = is_more = any(storm.suppressed for storm in storms)
        return [storm for storm in over.values() if storm.suppressed], is_more

    def _report(self) -> None:
        """Run in a thread of its own for as long as there is something to say."""
        is_more = True
        while is_more:
            time.sleep(STORM_SECONDS / 10)
            storms, is_more = self._take(self._clock())
            self._say(storms)

    def _say(self, storms: list[_Storm]) -> None:
        for storm in storms:
            self.write_summary(
                storm.level, storm.logger, storm.event, {"suppressed": storm.suppressed}
            )


def find_exception(event: Mapping[str, Any]) -> BaseException | None:
    """Return the exception of an event, whichever form its `exc_info` has."""
    exc_info = event.get("exc_info")
    if isinstance(exc_info, tuple):
        exc_info = exc_info[1]
    if isinstance(exc_info, BaseException):
        return exc_info
    return sys.exc_info()[1] if exc_info else None


def _find_place(exc: BaseException | None) -> tuple[str, int] | None:
    """Return file and line of what raised the exception."""
    trace = None if exc is None else exc.__traceback__
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno


def start_thread(function: Callable[[], None]) -> bool:
    """Run the function in a thread that no stop waits for; False where no thread can be started."""
    try:
        threading.Thread(target=function, daemon=True).start()
    except RuntimeError:  # the interpreter ends, or the system has no more
        return False
    return True
