"""An event loop in a thread of its own, started when first needed and kept until closed."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Final

import anyio.lowlevel
from anyio.from_thread import BlockingPortal

# How long a finalizer waits for the end of a loop that nobody closed.
ABANDON_TIMEOUT_SECONDS: Final = 1.0


class LoopThread:
    """One event loop, from its start to its end."""

    __slots__ = ("_cancel_scope", "_ready", "_stop", "_thread", "_token", "portal")

    def __init__(self, backend: str, backend_options: dict[str, Any]) -> None:
        self._ready: Future[BlockingPortal] = Future()
        # The context of the thread that happens to start the loop is not the context of the loop.
        self._thread = threading.Thread(
            target=contextvars.Context().run,
            args=(self._run, backend, backend_options),
            name=f"testclient-{backend}",
            daemon=True,
        )
        self._thread.start()
        self.portal = self._ready.result()

    @property
    def is_alive(self) -> bool:
        """Say whether the thread still runs; in the child of a fork it does not."""
        return self._thread.is_alive()

    def _run(self, backend: str, backend_options: dict[str, Any]) -> None:
        try:
            anyio.run(self._serve, backend=backend, backend_options=backend_options)
        except BaseException as exc:
            if not self._ready.done():  # a later error has reached the one who caused it
                self._ready.set_exception(exc)

    async def _serve(self) -> None:
        self._stop = anyio.Event()
        self._token = anyio.lowlevel.current_token()
        with anyio.CancelScope() as self._cancel_scope:
            async with BlockingPortal() as portal:
                self._ready.set_result(portal)
                await self._stop.wait()

    def close(self, *, cancel: bool = False) -> None:
        """Let running tasks finish, or cancel them, and wait for the end of the thread."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self.portal.call(self._cancel_scope.cancel if cancel else self._stop.set)
        self._thread.join()

    def abandon(self) -> None:
        """Cancel all tasks; wait a moment for the end of the thread where waiting is harmless.

        The garbage collector calls this in any thread: in this one, or in another event loop.
        """
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._token.backend_class.run_sync_soon(
                self._cancel_scope.cancel, (), self._token.native_token
            )
        if self._thread is not threading.current_thread() and not is_in_event_loop():
            self._thread.join(ABANDON_TIMEOUT_SECONDS)

    def join(self) -> None:
        """Wait for a loop that is ending because one of its tasks raised a `SystemExit`."""
        self._thread.join()


class PortalKeeper:
    """Hands out the portal of one loop; makes a new loop after `close()` and after a fork.

    While it is pinned (a lifespan runs in the loop) a loop that has died is not replaced.
    """

    __slots__ = ("_lock", "_loop", "backend", "backend_options", "is_pinned")

    def __init__(self, backend: str, backend_options: dict[str, Any]) -> None:
        self.backend = backend
        self.backend_options = backend_options
        self.is_pinned = False
        self._lock = threading.Lock()
        self._loop: LoopThread | None = None

    @property
    def is_running(self) -> bool:
        """Say whether there is a loop."""
        return self._loop is not None and self._loop.is_alive

    def open(self) -> BlockingPortal:
        """Return the portal of the running loop, which is started when there is none."""
        loop = self._loop
        if loop is not None and loop.is_alive:
            return loop.portal
        if self.is_pinned:
            raise RuntimeError(
                "The event loop of the app has ended: the app raised SystemExit, or this process is "
                "a fork. Leave the `with` block of the client and enter it again."
            )
        with self._lock:
            if self._loop is None or not self._loop.is_alive:
                self._loop = LoopThread(self.backend, self.backend_options)
            return self._loop.portal

    @contextlib.contextmanager
    def lease(self) -> Iterator[BlockingPortal]:
        """Lend the portal; the loop outlives the loan."""
        yield self.open()

    def close(self, *, cancel: bool = False) -> None:
        """End the loop and wait until its thread is gone."""
        loop = self._take()
        if loop is not None:
            loop.close(cancel=cancel)

    def abandon(self) -> None:
        """End the loop when nobody is left to close it: at garbage collection and at exit."""
        loop = self._take()
        if loop is not None:
            loop.abandon()

    def drop_dead(self) -> None:
        """Wait for a loop that a `BaseException` ends; the next request gets a new one."""
        loop = self._loop if self.is_pinned else self._take()
        if loop is not None:
            loop.join()

    def _take(self) -> LoopThread | None:
        loop, self._loop = self._loop, None
        # The portal of a thread that did not survive a fork would let its caller wait for ever.
        return loop if loop is not None and loop.is_alive else None


def is_in_event_loop() -> bool:
    """Say whether an event loop runs in this thread.

    asyncio is asked first and directly: anyio goes by a context variable, which in a callback of
    the loop can be that of another thread.
    """
    for current in (asyncio.get_running_loop, anyio.lowlevel.current_token):
        with contextlib.suppress(RuntimeError):
            current()
            return True
    return False
