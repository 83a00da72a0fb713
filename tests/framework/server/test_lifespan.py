from __future__ import annotations

import logging

import pytest
from uvicorn import Config

from framework.server.lifespan import WorkerLifespan
from framework.types import ASGIApp, Receive, Scope, Send

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def build(app: ASGIApp) -> WorkerLifespan:
    config = Config(app, lifespan="on", log_config=None)
    config.load()
    return WorkerLifespan(config)


async def test_start_up_and_shutdown_run_and_the_state_is_shared() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((await receive())["type"])
        scope["state"]["pool"] = 1
        await send({"type": "lifespan.startup.complete"})
        seen.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    lifespan = build(app)
    await lifespan.startup()
    assert not lifespan.should_exit
    assert lifespan.state == {"pool": 1}
    await lifespan.shutdown()
    assert not lifespan.should_exit
    assert seen == ["lifespan.startup", "lifespan.shutdown"]


async def test_a_failed_start_keeps_the_exception_itself() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "text"})
        raise OSError("away")

    lifespan = build(app)
    await lifespan.startup()
    assert lifespan.should_exit
    assert isinstance(lifespan.failure, OSError)


async def test_a_failed_start_without_exception_keeps_the_message() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    lifespan = build(app)
    await lifespan.startup()
    assert lifespan.should_exit
    assert str(lifespan.failure) == "no database"


async def test_an_application_without_lifespan_does_not_start() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        return

    lifespan = build(app)
    await lifespan.startup()
    assert lifespan.should_exit
    assert "ignores the lifespan protocol" in str(lifespan.failure)


async def test_a_message_of_another_protocol_fails_the_start() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start"})

    lifespan = build(app)
    await lifespan.startup()
    assert "'http.response.start' is no message" in str(lifespan.failure)


async def test_a_failed_shutdown_is_logged_with_its_exception(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "text"})
        raise OSError("not closed")

    lifespan = build(app)
    await lifespan.startup()
    with caplog.at_level(logging.ERROR):
        await lifespan.shutdown()
    assert lifespan.should_exit
    (record,) = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "not closed"
