"""The lifespan protocol, played from the server's side; everything here runs in the app's loop."""

from __future__ import annotations

from typing import Any

import anyio

from framework.testclient._scope import ASGI_LIFESPAN
from framework.types import ASGIApp, Message


class Phase:
    """A question to the app, `startup` or `shutdown`, and its answer."""

    __slots__ = ("answer", "answered", "asked", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = anyio.Event()
        self.answered = anyio.Event()
        self.answer: Message | None = None


class LifespanSession:
    """Runs the app with a `lifespan` scope; made in the app's loop, where its events belong."""

    __slots__ = ("_app", "_cancel_scope", "_ended", "_error", "_phases", "_state", "_unread")

    def __init__(self, app: ASGIApp, state: dict[str, Any]) -> None:
        self._app = app
        self._state = state
        self._phases = {name: Phase(name) for name in ("startup", "shutdown")}
        self._unread = list(self._phases.values())
        self._ended = anyio.Event()
        self._error: BaseException | None = None
        self._cancel_scope = anyio.CancelScope()

    async def run(self) -> None:
        """Call the app; raise what it raises."""
        scope = {"type": "lifespan", "asgi": ASGI_LIFESPAN.copy(), "state": self._state}
        try:
            with self._cancel_scope:
                await self._app(scope, self._receive, self._send)
        except BaseException as exc:
            self._error = exc
            raise
        finally:
            self._ended.set()
            for phase in self._phases.values():
                phase.answered.set()

    async def start_up(self) -> None:
        """Ask the app to start; raise what it raises, `RuntimeError` when it says that it failed."""
        await self._ask("startup")

    async def shut_down(self) -> None:
        """Ask the app to shut down and wait for its end; raise like `start_up()`."""
        await self._ask("shutdown")
        await self._ended.wait()
        self._raise_error()

    def abort(self) -> None:
        """Cancel the app, whatever it does."""
        self._cancel_scope.cancel()

    async def _ask(self, name: str) -> None:
        phase = self._phases[name]
        phase.asked.set()
        await phase.answered.wait()
        if phase.answer is None:
            self._raise_error()
            raise RuntimeError(
                f"The app returned without answering 'lifespan.{name}'. It has to send "
                f"'lifespan.{name}.complete'; without `with`, the client sends no lifespan."
            )
        if phase.answer["type"].endswith(".failed"):
            await self._ended.wait()
            self._raise_error()
            raise RuntimeError(
                f"The {name} of the app failed: {phase.answer.get('message', '')!r}."
            )

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    async def _receive(self) -> Message:
        if not self._unread:
            # Nothing will ever come: an app that loops over `receive()` ends here.
            self._cancel_scope.cancel()
            await anyio.sleep_forever()
        phase = self._unread.pop(0)
        await phase.asked.wait()
        return {"type": f"lifespan.{phase.name}"}

    async def _send(self, message: Message) -> None:
        kind, _, result = message["type"].rpartition(".")
        phase = self._phases.get(kind.removeprefix("lifespan."))
        if (
            phase is None
            or not kind.startswith("lifespan.")
            or result not in {"complete", "failed"}
        ):
            raise RuntimeError(f"The app sent {message['type']!r}, no message of a lifespan.")
        # An app that breaks while it runs says so before it is asked.
        is_broken = message["type"] == "lifespan.shutdown.failed"
        may_answer = phase.asked.is_set() or (
            is_broken and self._phases["startup"].answered.is_set()
        )
        if phase.answered.is_set() or not may_answer:
            raise RuntimeError(f"The app sent {message['type']!r} without being asked.")
        if result == "failed":
            self._unread.clear()
        phase.answer = message
        phase.answered.set()
