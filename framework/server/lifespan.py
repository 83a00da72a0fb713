"""The server's side of the lifespan protocol."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from uvicorn import Config

__all__ = ["WorkerLifespan"]

_EXCEPTION_SECONDS: Final = 1.0

_logger = logging.getLogger("framework.server")


class WorkerLifespan:
    """Runs the application's start-up and shutdown; what uvicorn's own does, with two differences.

    The exception of a failed start is kept in `failure` and not logged: of eight workers that
    cannot reach the database, one report is enough. One of a failed shutdown is logged as an
    exception, not as a text.
    """

    def __init__(self, config: Config) -> None:
        self.state: dict[str, Any] = {}
        self.should_exit = False
        self.failure: BaseException | None = None
        self._app = config.loaded_app
        self._inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._started = asyncio.Event()
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Run the start-up; `should_exit` says whether it failed."""
        self._inbox.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.create_task(self._run())
        await self._started.wait()
        if self.failure is not None:
            self.should_exit = True
            # Failure is announced before the exception itself arrives.
            await asyncio.wait([self._task], timeout=_EXCEPTION_SECONDS)

    async def shutdown(self) -> None:
        """Run the shutdown; `should_exit` says whether it failed."""
        if not self._ended.is_set():
            self._inbox.put_nowait({"type": "lifespan.shutdown"})
            await self._ended.wait()
        if self.failure is not None and self._task is not None:
            await asyncio.wait([self._task], timeout=_EXCEPTION_SECONDS)
            _logger.error("The application's shutdown has failed", exc_info=self.failure)
            self.should_exit = True

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._inbox.get, self._send)
        except BaseException as exc:
            # The exception itself says more than the text of it that was sent before.
            self.failure = exc
        else:
            if not self._started.is_set():
                self.failure = RuntimeError("the application ignores the lifespan protocol")
        finally:
            self._started.set()
            self._ended.set()

    async def _send(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                self._started.set()
            case "lifespan.shutdown.complete":
                self._ended.set()
            case "lifespan.startup.failed" | "lifespan.shutdown.failed":
                self.failure = RuntimeError(message.get("message") or message["type"])
                self._started.set()
                self._ended.set()
            case unknown:
                raise RuntimeError(f"{unknown!r} is no message of the lifespan protocol")
