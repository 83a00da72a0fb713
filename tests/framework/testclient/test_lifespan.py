"""`with TestClient(app)`: startup, state, shutdown, and their failures."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from framework.applications import App
from framework.requests import Request
from framework.responses import PlainTextResponse
from framework.routing import Route
from framework.testclient import TestClient
from framework.types import ASGIApp, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.testclient.apps import Lifespan, describe, hello


class Failure(Exception):
    pass


def lifespan_app(handle: Callable[[Receive, Send], Any]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await handle(receive, send)
        else:
            await hello(scope, receive, send)

    return app


def test_the_lifespan_surrounds_the_requests(client_factory: ClientFactory) -> None:
    app = Lifespan()
    with client_factory(app) as client:
        assert app.events == ["startup"]
        assert client.get("/").text == "hello"
    assert app.events == ["startup", "request", "shutdown"]


def test_without_with_there_is_no_lifespan(client_factory: ClientFactory) -> None:
    app = Lifespan()
    client_factory(app).get("/")
    assert app.events == ["request"]


def test_a_client_can_be_entered_again(client_factory: ClientFactory) -> None:
    app = Lifespan()
    client = client_factory(app)
    for _ in range(2):
        with client:
            client.get("/")
    client.get("/")
    assert app.events == ["startup", "request", "shutdown"] * 2 + ["request"]


def test_the_lifespan_scope() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await Lifespan()(scope, receive, send)

    with TestClient(app) as client:
        assert scopes[0]["state"] is client.app_state
    asgi = {"version": "3.0", "spec_version": "2.0"}
    assert scopes == [{"type": "lifespan", "asgi": asgi, "state": {}}]


def test_each_request_gets_a_copy_of_the_state(client_factory: ClientFactory) -> None:
    async def mark(scope: Scope, receive: Receive, send: Send) -> None:
        state = dict(scope["state"])
        scope["state"]["mark"] = "of one request"
        await describe({**scope, "state": state}, receive, send)

    with client_factory(Lifespan(mark, {"pool": "open"})) as client:
        for _ in range(2):
            assert client.get("/").json()["state"] == {"pool": "open"}
        assert client.app_state == {"pool": "open"}


def test_the_lifespan_and_the_requests_share_the_loop(client_factory: ClientFactory) -> None:
    loops = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        loops.append(anyio.lowlevel.current_token())
        await Lifespan()(scope, receive, send)

    client = client_factory(app)
    client.get("/")
    with client:
        client.get("/")
    assert len(set(loops)) == 1
    assert len(loops) == 3


def test_the_portal_is_open_inside_with(client_factory: ClientFactory) -> None:
    def token(client: TestClient) -> object:
        return client.portal and client.portal.call(anyio.lowlevel.current_token)

    client = client_factory(Lifespan())
    assert token(client) is None
    with client:
        assert token(client) is not None
    assert token(client) is None


def test_a_failing_startup_is_raised(client_factory: ClientFactory) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        await receive()
        raise Failure("startup")

    with pytest.raises(Failure, match="startup"), client_factory(lifespan_app(handle)):
        pytest.fail("entered")


def test_a_failing_shutdown_is_raised(client_factory: ClientFactory) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise Failure("shutdown")

    with pytest.raises(Failure, match="shutdown"), client_factory(lifespan_app(handle)) as client:
        assert client.get("/").text == "hello"


def test_a_lifespan_that_dies_between_is_raised_at_the_end(client_factory: ClientFactory) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise Failure("between")

    with pytest.raises(Failure, match="between"), client_factory(lifespan_app(handle)) as client:
        assert client.get("/").text == "hello"


def test_a_lifespan_that_breaks_while_the_app_runs_is_raised_at_the_end(
    client_factory: ClientFactory,
) -> None:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail)
            yield

    async def fail() -> None:
        raise Failure("in a task")

    with pytest.raises(ExceptionGroup) as caught, client_factory(App(lifespan=lifespan)):
        pass
    assert caught.group_contains(Failure, match="in a task")


def test_clients_of_one_app_may_be_nested(client_factory: ClientFactory) -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        events.append("startup")
        yield
        events.append("shutdown")

    async def home(request: Request[Any]) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = App(routes=[Route("/", home)], lifespan=lifespan)
    with client_factory(app) as outer, client_factory(app) as inner:
        assert [outer.get("/").text, inner.get("/").text] == ["hello"] * 2
    assert events == ["startup", "startup", "shutdown", "shutdown"]


def test_an_exception_after_the_shutdown_is_raised(client_factory: ClientFactory) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Lifespan()(scope, receive, send)
        raise Failure("afterwards")

    with pytest.raises(Failure, match="afterwards"), client_factory(app):
        pass


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
def test_a_reported_failure_raises_the_exception_of_the_app(
    phase: str, client_factory: ClientFactory
) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        message = await receive()
        while message["type"] != f"lifespan.{phase}":
            await send({"type": "lifespan.startup.complete"})
            message = await receive()
        await send({"type": f"lifespan.{phase}.failed", "message": "traceback"})
        raise Failure(phase)

    with pytest.raises(Failure, match=phase), client_factory(lifespan_app(handle)):
        pass


@pytest.mark.parametrize("phase", ["startup", "shutdown"])
@pytest.mark.parametrize("goes_on", [True, False], ids=["receives-again", "returns"])
def test_a_reported_failure_without_an_exception_is_an_error(
    phase: str, goes_on: bool, client_factory: ClientFactory
) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == f"lifespan.{phase}":
                await send({"type": f"lifespan.{phase}.failed", "message": "no database"})
                if not goes_on:
                    return
            else:
                await send({"type": "lifespan.startup.complete"})

    expected = f"The {phase} of the app failed: 'no database'"
    with pytest.raises(RuntimeError, match=expected), client_factory(lifespan_app(handle)):
        pass


def test_an_app_that_receives_for_ever_is_ended_after_the_shutdown(
    client_factory: ClientFactory,
) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})

    with client_factory(lifespan_app(handle)) as client:
        assert client.get("/").text == "hello"


def test_an_app_that_knows_no_lifespan_is_an_error(client_factory: ClientFactory) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        pass

    expected = "returned without answering 'lifespan.startup'"
    with pytest.raises(RuntimeError, match=expected), client_factory(lifespan_app(handle)):
        pytest.fail("entered")


def test_an_app_that_leaves_its_lifespan_early_is_an_error(client_factory: ClientFactory) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})

    expected = "returned without answering 'lifespan.shutdown'"
    with pytest.raises(RuntimeError, match=expected), client_factory(lifespan_app(handle)):
        pass


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (["lifespan.start.complete"], "no message of a lifespan"),
        (["lifespan.startup.done"], "no message of a lifespan"),
        (["startup.complete"], "no message of a lifespan"),
        (["complete"], "no message of a lifespan"),
        (["lifespan.shutdown.complete"], "without being asked"),
        (["lifespan.startup.complete"] * 2, "without being asked"),
    ],
)
def test_a_wrong_answer_is_an_error(sent: list[str], complaint: str) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        await receive()
        for name in sent:
            await send({"type": name})

    with pytest.raises(RuntimeError, match=complaint), TestClient(lifespan_app(handle)):
        pass


def test_a_failed_startup_leaves_a_client_that_works(client_factory: ClientFactory) -> None:
    async def handle(receive: Receive, send: Send) -> None:
        raise Failure

    client = client_factory(lifespan_app(handle))
    with pytest.raises(Failure), client:
        pytest.fail("entered")
    assert client.portal is None
    assert client.get("/").text == "hello"


def test_the_contract_of_the_lifespan_methods() -> None:
    with TestClient(Lifespan()) as client:
        assert not client.task.done()
    assert client.task.done()
