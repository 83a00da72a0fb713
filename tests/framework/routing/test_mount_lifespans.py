"""`mount_lifespans`: mounted applications start and stop with the one above them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from framework.applications import App
from framework.requests import Request
from framework.responses import JSONResponse, Response
from framework.routing import Host, Mount, Route, Router
from framework.types import Receive, Scope, Send
from tests.clients import ClientFactory


class Log(list[str]):
    """What happened, in order; makes lifespans that write into it."""

    def lifespan(
        self,
        name: str,
        state: Mapping[str, Any] | None = None,
        *,
        fails_at: str = "",
    ) -> Any:
        @asynccontextmanager
        async def run(app: Any) -> AsyncIterator[Mapping[str, Any] | None]:
            if fails_at == "start":
                raise OSError(f"{name} cannot start")
            self.append(f"+{name}")
            yield state
            self.append(f"-{name}")
            if fails_at == "stop":
                raise OSError(f"{name} cannot stop")

        return run

    def app(self, name: str, routes: list[Any] | None = None, **options: Any) -> App:
        return App(routes=routes, lifespan=self.lifespan(name, **options))


class Around:
    """Middleware around a whole application."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class Plain:
    """An ASGI application without a lifespan."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


def test_mounted_lifespans_do_not_run_unless_asked_for(client_factory: ClientFactory) -> None:
    log = Log()
    app = App(routes=[Mount("/a", app=log.app("a"))], lifespan=log.lifespan("own"))
    with client_factory(app):
        pass
    assert log == ["+own", "-own"]


def test_lifespans_run_in_order_and_stop_in_reverse(client_factory: ClientFactory) -> None:
    log = Log()
    shared = log.app("shared")
    app = App(
        routes=[
            Mount("/a", app=log.app("a", [Mount("/in", app=log.app("in a"))])),
            Mount("/routes", routes=[Mount("/deep", app=log.app("deep"))]),
            Host("b.org", app=log.app("host")),
            Mount("/wrapped", app=Around(Around(log.app("wrapped")))),
            Mount("/router", app=Router(lifespan=log.lifespan("router"))),
            Mount("/plain", app=Plain()),
            Mount("/once", app=shared),
            Mount("/twice", app=Around(shared)),
            Route("/", Plain()),
        ],
        lifespan=log.lifespan("own"),
        mount_lifespans=True,
    )
    order = ["own", "a", "in a", "deep", "host", "wrapped", "router", "shared"]
    with client_factory(app):
        assert log == [f"+{name}" for name in order]
        log.clear()
    assert log == [f"-{name}" for name in reversed(order)]


def test_an_inner_choice_does_not_start_anything_twice(client_factory: ClientFactory) -> None:
    log = Log()
    inner = App(
        routes=[Mount("/x", app=log.app("x"))],
        lifespan=log.lifespan("inner"),
        mount_lifespans=True,
    )
    with client_factory(App(routes=[Mount("/i", app=inner)], mount_lifespans=True)):
        pass
    assert log == ["+inner", "+x", "-x", "-inner"]


def test_one_that_cannot_start_stops_those_before_it(client_factory: ClientFactory) -> None:
    log = Log()
    app = App(
        routes=[
            Mount("/1", app=log.app("first")),
            Mount("/2", app=log.app("second", fails_at="start")),
            Mount("/3", app=log.app("third")),
        ],
        lifespan=log.lifespan("own"),
        mount_lifespans=True,
    )
    with pytest.raises(OSError, match="second cannot start"), client_factory(app):
        pass
    assert log == ["+own", "+first", "-first", "-own"]


def test_one_that_cannot_stop_does_not_keep_the_others_from_it(
    client_factory: ClientFactory,
) -> None:
    log = Log()
    app = App(
        routes=[
            Mount("/1", app=log.app("first")),
            Mount("/2", app=log.app("second", fails_at="stop")),
        ],
        mount_lifespans=True,
    )
    with pytest.raises(OSError, match="second cannot stop"), client_factory(app):
        pass
    assert log == ["+first", "+second", "-second", "-first"]


def test_each_is_entered_with_its_own_application(client_factory: ClientFactory) -> None:
    seen: list[Any] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        seen.append(app)
        yield

    inner = App(routes=[Mount("/r", app=Router(lifespan=lifespan))], lifespan=lifespan)
    app = App(
        routes=[Mount("/i", app=inner), Mount("/r", app=Router(lifespan=lifespan))],
        lifespan=lifespan,
        mount_lifespans=True,
    )
    with client_factory(app):
        pass
    assert seen == [app, inner, inner, app]


def test_the_states_are_put_together(client_factory: ClientFactory) -> None:
    async def show(request: Request[Any]) -> Response:
        return JSONResponse({name: request.state[name] for name in ("own", "a", "b")})

    log = Log()
    app = App(
        routes=[
            Mount("/a", app=log.app("a", [Route("/", show)], state={"a": 1})),
            Mount("/b", app=log.app("b", state={"b": 2})),
            Route("/", show),
        ],
        lifespan=log.lifespan("own", {"own": 0}),
        mount_lifespans=True,
    )
    with client_factory(app) as client:
        assert client.get("/").json() == {"own": 0, "a": 1, "b": 2}
        assert client.get("/a/").json() == {"own": 0, "a": 1, "b": 2}


def test_a_key_of_the_state_may_not_come_twice(client_factory: ClientFactory) -> None:
    log = Log()
    app = App(
        routes=[Mount("/a", app=log.app("a", state={"db": 1}))],
        lifespan=log.lifespan("own", {"db": 2, "x": 1}),
        mount_lifespans=True,
    )
    with pytest.raises(RuntimeError, match=r"yields \['db'\]"), client_factory(app):
        pass
    assert log == ["+own", "+a", "-a", "-own"]


def test_an_application_may_be_mounted_in_itself(client_factory: ClientFactory) -> None:
    log = Log()
    app = App(lifespan=log.lifespan("own"), mount_lifespans=True)
    app.mount("/again", app)
    app.mount("/around", Around(app))
    with client_factory(app):
        pass
    assert log == ["+own", "-own"]


def test_a_router_has_the_option_too(client_factory: ClientFactory) -> None:
    log = Log()
    router = Router([Mount("/a", app=log.app("a"))], mount_lifespans=True)
    router.mount("/late", log.app("late"))
    with client_factory(router):
        pass
    assert log == ["+a", "+late", "-late", "-a"]
