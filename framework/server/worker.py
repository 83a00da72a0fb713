"""The gunicorn worker: uvicorn with the settings a service needs, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, ClassVar, Final, NoReturn

from gunicorn.arbiter import Arbiter
from uvicorn import Config
from uvicorn_worker import UvicornWorker

from framework.observability.health import readiness
from framework.server.acceptor import Acceptor
from framework.server.announcement import Announcement
from framework.server.boot import Boot
from framework.server.forwarded import ForwardedMiddleware
from framework.server.http.choice import HTTPTOOLS, ZTTP, HttpParser, choose_protocol
from framework.server.http.guard import HeaderGuard
from framework.server.http.limits import HttpLimits
from framework.server.lifecycle import TICKS_A_SECOND, ReadinessServer
from framework.server.lifespan import WorkerLifespan
from framework.server.recycling import Recycling
from framework.server.report import WorkerReport
from framework.server.websockets import HardenedWebSocketProtocol

__all__ = ["SlipwayWorker", "WorkerServer"]

WS_MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""Largest WebSocket message; uvicorn's default of 16 MB is memory for any client to take."""

_HEARTBEAT_SECONDS: Final = 1.0
# How long a stop waits for what was accepted right before: TLS handshakes are cut off then.
_ADOPTION_SECONDS: Final = 1.0
_FAILURE_STATUS: Final = 1
_MAX_SHUTDOWN_MARGIN_SECONDS: Final = 5

_logger = logging.getLogger("framework.server")


class WorkerServer(ReadinessServer):
    """uvicorn's server inside a gunicorn worker.

    Args:
        config: uvicorn's configuration.
        notify: tells the master that this worker lives.
        drain: seconds from SIGTERM to the shutdown, in which requests are still taken.
        grace: seconds from the begin of the shutdown to the last heartbeat.
        master: process id of the master; the worker ends when it is gone.
        recycling: says when the worker has served long enough.
    """

    def __init__(
        self,
        config: Config,
        *,
        notify: Callable[[], None],
        drain: float,
        grace: float,
        master: int,
        recycling: Recycling,
    ) -> None:
        super().__init__(config)
        self._recycling = recycling
        self._notify = notify
        self._drain = drain
        self._drain_end: float | None = None
        self._grace = grace
        self._master = master
        self.on_started: Callable[[], None] | None = None
        self.on_old: Callable[[], None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's start-up, listen, and tell the worker."""
        await super().startup([])
        if self.should_exit:
            return
        for sock in sockets or ():
            acceptor = Acceptor(sock, self._build_protocol, self.config.ssl)
            acceptor.start()
            # All that uvicorn does with them is to close them.
            self.servers.append(acceptor)  # type: ignore[arg-type]
        if self.on_started is not None:
            self.on_started()

    def _build_protocol(self) -> asyncio.Protocol:
        protocol_class: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = protocol_class(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return protocol

    async def on_tick(self, counter: int) -> bool:
        """Stop when the drain is over, or when the master is gone.

        Without a master nobody would replace this worker, or ever stop it.
        """
        if os.getppid() != self._master and not self.should_exit:
            _logger.error("The master process has died; this worker stops")
            readiness.set_draining()
            self.should_exit = True
        if self._drain_end is not None and time.monotonic() >= self._drain_end:
            self.should_exit = True
        if counter % TICKS_A_SECOND == 0:
            self._recycle()
        return await super().on_tick(counter)

    def count_second(self) -> None:
        """Tell the master that this worker lives, and let the connections count their deadlines."""
        self._notify()
        super().count_second()

    def _recycle(self) -> None:
        reason = self._recycling.find_reason(self.server_state.total_requests)
        if reason is None or self.should_exit or self._drain_end is not None:
            return
        _logger.info("This worker is to be replaced: %s", reason)
        if self.on_old is None:
            self.handle_exit(signal.SIGTERM, None)
        else:
            self.on_old()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests end and the application shut down; heartbeat and deadlines go on."""
        heartbeat = asyncio.create_task(self._beat())
        try:
            await self._end_accepting()
            await super().shutdown(sockets)
            if self.force_exit:
                # uvicorn leaves this out of a quick stop; connections to databases are closed in
                # any case.
                await self.lifespan.shutdown()
        finally:
            heartbeat.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop: after SIGTERM by letting load balancers and clients move on.

        uvicorn would raise the signal again at the end, which kills the process before
        gunicorn's `worker_exit` hook and `atexit` functions have run.
        """
        if sig == signal.SIGINT:
            self.stop_quickly()
            return
        readiness.set_draining()
        if not self.started:
            self.should_exit = True
        elif self._drain_end is None:
            self._drain_end = time.monotonic() + self._drain

    def stop_quickly(self) -> None:
        """Stop without waiting for requests: what gunicorn means by SIGQUIT and SIGINT."""
        readiness.set_draining()
        self.should_exit = True
        self.force_exit = True

    async def _end_accepting(self) -> None:
        """Accept no more; what was accepted in this moment is no connection yet that is told to end."""
        for acceptor in self.servers:
            acceptor.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ADOPTION_SECONDS):
                for acceptor in self.servers:
                    await acceptor.wait_closed()

    async def _beat(self) -> None:
        # It ends with the grace: a shutdown that hangs is for gunicorn's timeout to finish.
        end = time.monotonic() + self._grace
        while time.monotonic() < end:
            self.count_second()
            await asyncio.sleep(_HEARTBEAT_SECONDS)


class SlipwayWorker(UvicornWorker):  # type: ignore[misc] # it has no type information
    """A gunicorn worker that serves one ASGI application with uvicorn.

    `slot`, `drain_seconds`, `max_rss`, `http_parser`, `limits`, `report`, `boot` and `announcement` are
    set by `MasterHooks.pre_fork`.
    With the parser `zttp` a guard checks headers, which the hardened protocol does itself otherwise.
    Of the limits, gunicorn's own settings (`limit_request_line`, `limit_request_fields`,
    `limit_request_field_size`) win.
    """

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        # Named instead of "auto", which falls back to slower and laxer ones in silence. As classes,
        # so that they are loaded once, before the fork.
        "loop": "uvloop",
        "http": choose_protocol(HTTPTOOLS, HttpLimits()),
        "ws": HardenedWebSocketProtocol,
        "ws_max_size": WS_MAX_MESSAGE_BYTES,
        "interface": "asgi3",
        # An application whose start-up fails must not serve.
        "lifespan": "on",
        "server_header": False,
        "access_log": False,
        # The heartbeat is ours, once a second. uvicorn's comes every half of `timeout`, so that a worker
        # could be taken for dead after half of `timeout`.
        "callback_notify": None,
        # Ours does so in any case; uvicorn's own parsers are told to.
        "reset_contextvars": True,
    }

    slot: int = 0
    drain_seconds: float = 0.0
    max_rss: int = 0
    http_parser: HttpParser = HTTPTOOLS
    limits: HttpLimits = HttpLimits()
    report: WorkerReport | None = None
    boot: Boot | None = None
    announcement: Announcement | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The parent class has given this logger the handlers of gunicorn's, and no way to the root.
        logger = logging.getLogger("uvicorn.error")
        logger.handlers = []
        # uvicorn compares the number: with NOTSET it would format trace lines for each connection.
        logger.setLevel(self.log.error_log.level)
        logger.propagate = True
        grace = self.cfg.graceful_timeout
        self.config.timeout_graceful_shutdown = max(1, grace - _shutdown_margin(grace))

    def load_wsgi(self) -> None:
        """Import the application; a failure ends this worker, not the service."""
        try:
            super().load_wsgi()
        except Exception as exc:
            self._fail(exc)

    async def _serve(self) -> None:
        # Ours instead of uvicorn's middleware for headers of proxies.
        self.config.proxy_headers = False
        app = ForwardedMiddleware(self.wsgi, self.cfg.forwarded_allow_ips)
        limits = add_gunicorn_limits(self.limits, self.cfg)
        self.config.app = HeaderGuard(app, limits) if self.http_parser == ZTTP else app
        self.config.http = choose_protocol(self.http_parser, limits)
        self.config.load()
        self.config.lifespan_class = WorkerLifespan
        # The drain is a part of the grace.
        for_requests = self.config.timeout_graceful_shutdown - self.drain_seconds
        self.config.timeout_graceful_shutdown = max(0.0, for_requests)
        recycling = Recycling(self.config.limit_max_requests, self.max_rss)
        # uvicorn would stop at once, whoever takes the requests then.
        self.config.limit_max_requests = None
        server = WorkerServer(
            self.config,
            notify=self.notify,
            drain=self.drain_seconds,
            grace=self.cfg.graceful_timeout - self.drain_seconds,
            master=self.ppid,
            recycling=recycling,
        )
        server.on_started = self._record_start
        server.on_old = None if self.report is None else self.report.ask_for_replacement
        asyncio.get_running_loop().add_signal_handler(signal.SIGQUIT, server.stop_quickly)
        try:
            await server.serve(sockets=self.sockets)
        except SystemExit:
            if server.started:
                raise
            if server.should_exit:
                # Told to stop before it was up; the reason does not matter any more.
                sys.exit(_FAILURE_STATUS)
            self._fail(server.lifespan.failure)
        if server.lifespan.should_exit:
            sys.exit(_FAILURE_STATUS)

    def _record_start(self) -> None:
        # What exists now lives as long as the worker: collections need not walk through it, which
        # takes some microseconds off each request.
        gc.collect()
        gc.freeze()
        _logger.info("Worker %d serves", self.slot)
        if self.report is not None:
            self.report.say_serving()
        if self.boot is not None and self.boot.record_start() and self.announcement is not None:
            self.announcement.publish(self.cfg.workers)

    def _fail(self, exc: BaseException) -> NoReturn:
        """Report why this worker cannot start, and end it.

        gunicorn takes exit status 3 as an order to stop the whole service. That is right for a
        first start; later it would let one worker that finds the database away for a moment end
        all those that serve.
        """
        reason = f"{type(exc).__name__}: {exc}"
        if self.boot is not None and self.boot.has_been_up:
            delay = self.boot.record_failure()
            message = "A worker could not start, the next one tries in %.1f s: %s"
            _logger.error(message, delay, reason, exc_info=exc)
            time.sleep(delay)
            sys.exit(_FAILURE_STATUS)
        if self.boot is not None and not self.boot.claim_report():
            # Another worker has said it and ends with 3. gunicorn fails with a traceback when it
            # meets that status a second time.
            sys.exit(0)
        _logger.critical("The application could not start: %s", reason, exc_info=exc)
        sys.exit(Arbiter.WORKER_BOOT_ERROR)


def add_gunicorn_limits(limits: HttpLimits, cfg: Any) -> HttpLimits:
    """Return the limits with those that gunicorn has settings for; its 0 is our default."""
    return dataclasses.replace(
        limits,
        request_line=cfg.limit_request_line or limits.request_line,
        header_count=cfg.limit_request_fields or limits.header_count,
        header_field=cfg.limit_request_field_size or limits.header_field,
    )


def _shutdown_margin(grace: int) -> int:
    """Return the part of the grace that is kept for the application's own shutdown."""
    return max(1, min(_MAX_SHUTDOWN_MARGIN_SECONDS, grace // 5))
