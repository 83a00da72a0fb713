"""Readiness: whether this process wants requests, and whether it could answer them.

Liveness needs no code here: a process that answers at all is alive. It must not ask its
dependencies, or an outage of the database restarts every worker.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal

import anyio

from framework.observability._limits import READINESS_TIMEOUT_SECONDS
from framework.observability.logging import get_logger

__all__ = ["Check", "Readiness", "ReadinessState", "readiness"]

ReadinessState = Literal["starting", "ready", "draining"]

Check = Callable[[], Awaitable[object]]
"""A dependency check: it returns when the dependency works and raises when it does not."""

_log = get_logger(__name__)


class Readiness:
    """The state of a process in its life, and checks of what it depends on.

    `starting` becomes `ready`, and `draining` is final: a process that has been told to stop is
    never ready again, even when its start-up completes after that.
    """

    __slots__ = ("_checks", "_state")

    def __init__(self) -> None:
        self._state: ReadinessState = "starting"
        self._checks: dict[str, Check] = {}

    @property
    def state(self) -> ReadinessState:
        """The present state."""
        return self._state

    def set_ready(self) -> None:
        """Say that the start-up is complete. Does nothing while draining."""
        if self._state == "starting":
            self._state = "ready"

    def set_draining(self) -> None:
        """Say that this process is going away: a load balancer should send it nothing more."""
        self._state = "draining"

    def reset(self) -> None:
        """Begin a new life: state `starting`, no checks. For several lifespans in one process."""
        self._state = "starting"
        self._checks.clear()

    def add_check(self, name: str, check: Check) -> None:
        """Let `report` ask a dependency.

        Args:
            name: how the check is called in the report.
            check: an async function without parameters; it raises when the dependency is unusable.

        Raises:
            ValueError: there is a check of this name.
        """
        if name in self._checks:
            raise ValueError(f"readiness check {name!r} exists already; choose another name")
        self._checks[name] = check

    async def report(
        self, timeout: float = READINESS_TIMEOUT_SECONDS
    ) -> tuple[bool, dict[str, Any]]:
        """Return whether the process is ready, and why.

        The checks run at the same time. While starting or draining none is run. The details have
        `state` and `checks`: for each check `status` (`ok`, `failed`, `timeout`) and `duration_ms`.
        Error messages may hold addresses and credentials, so they go to the log only.

        Args:
            timeout: seconds that each check gets.
        """
        if self._state != "ready":
            return False, {"state": self._state, "checks": {}}
        results: dict[str, dict[str, Any]] = {name: {} for name in self._checks}
        async with anyio.create_task_group() as tasks:
            for name, check in self._checks.items():
                tasks.start_soon(_run_check, name, check, timeout, results)
        is_ready = all(result["status"] == "ok" for result in results.values())
        # A signal may have arrived while the checks ran.
        return is_ready and self._state == "ready", {"state": self._state, "checks": results}


async def _run_check(
    name: str, check: Check, timeout: float, results: dict[str, dict[str, Any]]
) -> None:
    begun_at = time.perf_counter()
    try:
        with anyio.fail_after(timeout):
            await check()
        status = "ok"
    except TimeoutError:
        _log.warning("readiness check timed out", check=name)
        status = "timeout"
    except Exception:
        _log.warning("readiness check failed", check=name, exc_info=True)
        status = "failed"
    elapsed = time.perf_counter() - begun_at
    results[name] = {"status": status, "duration_ms": round(elapsed * 1000, 3)}


readiness: Final = Readiness()
"""The readiness of this process. The server sets its state, the application adds checks."""
