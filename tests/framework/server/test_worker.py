from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from gunicorn.config import Config

from framework.observability.health import readiness
from framework.server import worker as worker_module
from framework.server.http.limits import HttpLimits
from framework.server.http.protocol import HardenedHttpProtocol
from framework.server.logger import GunicornLogger
from framework.server.recycling import Recycling
from framework.server.worker import SlipwayWorker, WorkerServer, add_gunicorn_limits

LOGGERS = ("gunicorn.error", "gunicorn.access", "uvicorn.error", "uvicorn.access")


@pytest.fixture(autouse=True)
def loggers() -> Iterator[None]:
    """Leave the loggers of the servers as they were."""
    kept = [(logger, dict(vars(logger))) for logger in map(logging.getLogger, LOGGERS)]
    yield
    for logger, attributes in kept:
        vars(logger).update(attributes)


def build_worker(**settings: object) -> SlipwayWorker:
    config = Config()
    for name, value in settings.items():
        config.set(name, value)
    worker = SlipwayWorker(1, os.getpid(), [], None, 15, config, GunicornLogger(config))
    worker.tmp.close()
    return worker


def test_uvicorn_is_set_up_for_a_service() -> None:
    config = build_worker(keepalive=75, forwarded_allow_ips="10.0.0.1").config
    assert isinstance(config.http, functools.partial)
    assert config.http.func is HardenedHttpProtocol
    assert config.loop == "uvloop"
    assert config.lifespan == "on"
    assert config.interface == "asgi3"
    assert not config.server_header
    assert not config.access_log
    assert config.ws_max_size == 1024 * 1024
    assert config.timeout_keep_alive == 75
    assert config.limit_concurrency is None
    assert config.log_config is None


def test_settings_of_gunicorn_are_limits_of_the_protocol() -> None:
    cfg = Config()
    cfg.set("limit_request_line", 100)
    cfg.set("limit_request_fields", 7)
    cfg.set("limit_request_field_size", 0)
    limits = add_gunicorn_limits(HttpLimits(header_seconds=3), cfg)
    assert limits == HttpLimits(request_line=100, header_count=7, header_seconds=3)


@pytest.mark.parametrize(
    ("grace", "for_requests"), [(1, 1), (2, 1), (3, 2), (10, 8), (25, 20), (60, 55)]
)
def test_requests_get_the_grace_minus_time_for_the_shutdown(grace: int, for_requests: int) -> None:
    config = build_worker(graceful_timeout=grace).config
    assert config.timeout_graceful_shutdown == for_requests


def test_lines_of_both_servers_rise_to_the_root_logger(caplog: pytest.LogCaptureFixture) -> None:
    worker = build_worker(loglevel="info", accesslog="-", errorlog="-")
    for name in LOGGERS[:3]:
        assert logging.getLogger(name).handlers == []
        assert logging.getLogger(name).propagate
    with caplog.at_level(logging.INFO):
        worker.log.info("from %s", "gunicorn")
        worker.log.debug("not this")
        logging.getLogger("uvicorn.error").info("from uvicorn")
    assert caplog.messages == ["from gunicorn", "from uvicorn"]
    assert not worker.log.access_log_enabled


def test_a_reload_of_the_configuration_changes_the_level() -> None:
    worker = build_worker(loglevel="info")
    config = Config()
    config.set("loglevel", "debug")
    worker.log.setup(config)
    assert worker.log.error_log.level == logging.DEBUG


def test_the_heartbeat_goes_on_during_a_shutdown_until_the_grace_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_module, "_HEARTBEAT_SECONDS", 0.01)
    states: list[str] = []
    beats: list[int] = []

    async def shut_down() -> None:
        while len(states) < 5:  # noqa: ASYNC110 -- nobody tells
            await asyncio.sleep(0.01)
        await asyncio.sleep(1)
        beats.append(len(states))
        await asyncio.sleep(0.1)

    async def stop() -> None:
        server = build_server(notify=lambda: states.append(readiness.state), grace=1)
        server.servers = []
        server.lifespan = SimpleNamespace(shutdown=shut_down)
        await server.shutdown()

    readiness.reset()
    readiness.set_ready()
    asyncio.run(stop())
    readiness.reset()
    assert beats == [len(states)]
    assert len(states) <= 101
    assert set(states) == {"ready"}  # nobody has told it to stop: it retires


def build_server(
    *, notify: Callable[[], None] = lambda: None, drain: float = 0.0, grace: float = 1.0
) -> WorkerServer:
    config = uvicorn.Config("unused", log_config=None)
    return WorkerServer(
        config,
        notify=notify,
        drain=drain,
        grace=grace,
        master=os.getppid(),
        recycling=Recycling(None, 0),
    )


def test_only_an_orderly_stop_of_a_worker_that_serves_drains_first() -> None:
    async def stop(number: signal.Signals, *, started: bool) -> list[bool]:
        readiness.reset()
        server = build_server(drain=0.2)
        server.started = started
        server.handle_exit(number, None)
        assert readiness.state == "draining"
        ends = [await server.on_tick(1)]
        await asyncio.sleep(0.15)
        server.handle_exit(number, None)  # told twice, it does not begin again
        await asyncio.sleep(0.1)
        return [*ends, await server.on_tick(2)]

    assert asyncio.run(stop(signal.SIGTERM, started=True)) == [False, True]
    assert asyncio.run(stop(signal.SIGTERM, started=False)) == [True, True]
    assert asyncio.run(stop(signal.SIGINT, started=True)) == [True, True]
    readiness.reset()


class LateAcceptor:
    """Has accepted a connection that is none of the server's yet."""

    def __init__(self, server: WorkerServer, seconds: float) -> None:
        self.server = server
        self.seconds = seconds
        self.is_adopting = True
        self.events: list[str] = []

    def close(self) -> None:
        self.events.append("closed")

    async def wait_closed(self) -> None:
        if not self.is_adopting:
            return
        self.is_adopting = False
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.events.append("cut off")
            raise
        self.server.server_state.connections.add(cast(Any, self))

    def shutdown(self) -> None:
        self.events.append("told to end")
        self.server.server_state.connections.discard(cast(Any, self))


@pytest.mark.parametrize(
    ("seconds", "limit", "expected"), [(0.05, 4.0, "told to end"), (60, 0.2, "cut off")]
)
def test_a_connection_that_is_accepted_in_the_moment_of_a_stop_ends_too(
    seconds: float, limit: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "_ADOPTION_SECONDS", limit)

    async def shut_down() -> None:
        pass

    async def stop() -> list[str]:
        server = build_server()
        acceptor = LateAcceptor(server, seconds)
        server.servers = [cast(Any, acceptor)]
        server.lifespan = SimpleNamespace(shutdown=shut_down)
        await asyncio.wait_for(server.shutdown(), 10)
        return acceptor.events

    events = asyncio.run(stop())
    # uvicorn closes what listens once more.
    assert sorted(events) == sorted(["closed", "closed", expected])
