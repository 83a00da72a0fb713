"""So many requests for each client, user or route, and 429 for the rest."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from framework.applications import App
from framework.authentication import AuthenticationBackend
from framework.exceptions import HTTPException
from framework.middleware import Middleware
from framework.middleware.authentication import AuthenticationMiddleware
from framework.middleware.rate_limit import RateLimit, RateLimitMiddleware
from framework.rate_limits import (
    Bucket,
    SharedMemoryStore,
    StoreUnavailable,
    Verdict,
    route_key,
    user_key,
)
from framework.rate_limits.rules import decide
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse, Response
from framework.routing import Mount, Route, WebSocketRoute
from framework.testclient import TestClient
from framework.types import ASGIApp, Scope
from framework.websockets import WebSocket
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio


class FrozenStore:
    """Counts in this process; time stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 0
        self.full_until: dict[str, int] = {}
        self.is_broken = False
        self.opened = 0

    async def open(self) -> None:
        self.opened += 1

    async def take(self, buckets: Sequence[Bucket]) -> Verdict:
        if self.is_broken:
            raise StoreUnavailable("gone")
        levels = [max(self.full_until.get(bucket.key, 0) - self.now, 0) for bucket in buckets]
        verdict = decide(buckets, levels)
        for bucket, level in zip(buckets, verdict.levels, strict=True):
            self.full_until[bucket.key] = self.now + level
        return verdict

    def wait(self, seconds: float) -> None:
        self.now += int(seconds * 1_000_000)


@pytest.fixture
def store() -> FrozenStore:
    return FrozenStore()


def build(store: FrozenStore, *limits: RateLimit, **options: Any) -> ASGIApp:
    return RateLimitMiddleware(PlainTextResponse("served"), limits, store=store, **options)


async def count_served(app: ASGIApp, requests: int, scope: Scope | None = None) -> int:
    channels = [await call(app, dict(scope or build_scope())) for _ in range(requests)]
    assert {channel.status for channel in channels} <= {200, 429}
    return sum(channel.status == 200 for channel in channels)


def read_fields(channel: Channel) -> tuple[str, ...]:
    names = (b"limit", b"remaining", b"reset", b"policy")
    return tuple(channel.headers[b"ratelimit-" + name].decode() for name in names)


async def test_a_limit_is_a_limit_and_comes_back_evenly(store: FrozenStore) -> None:
    app = build(store, RateLimit(10, 60))
    assert await count_served(app, 15) == 10
    store.wait(5.9)
    assert await count_served(app, 1) == 0
    store.wait(0.1)
    assert await count_served(app, 2) == 1
    store.wait(60)
    assert await count_served(app, 15) == 10


@pytest.mark.parametrize(("requests", "seconds"), [(7, 60), (3, 1), (999, 86_400), (1, 0.5)])
async def test_no_rounding_takes_a_request_away(
    store: FrozenStore, requests: int, seconds: float
) -> None:
    assert await count_served(build(store, RateLimit(requests, seconds)), requests + 3) == requests


async def test_a_burst_is_what_may_come_at_once(store: FrozenStore) -> None:
    app = build(store, RateLimit(60, 60, burst=5))
    assert await count_served(app, 10) == 5
    store.wait(2)
    assert await count_served(app, 10) == 2


async def test_every_answer_tells_what_is_left(store: FrozenStore) -> None:
    app = build(store, RateLimit(3, 60))
    assert read_fields(await call(app, build_scope())) == ("3", "2", "20", "3;w=60")
    assert read_fields(await call(app, build_scope())) == ("3", "1", "40", "3;w=60")
    store.wait(10)
    assert read_fields(await call(app, build_scope())) == ("3", "0", "50", "3;w=60")
    refused = await call(app, build_scope())
    assert (refused.status, refused.body) == (429, b"Too Many Requests")
    assert read_fields(refused) == ("3", "0", "50", "3;w=60")
    assert refused.headers[b"retry-after"] == b"10"
    store.wait(10)
    assert (await call(app, build_scope())).status == 200


async def test_the_limit_that_is_closest_to_its_end_is_told(store: FrozenStore) -> None:
    app = build(store, RateLimit(2, 1), RateLimit(60, 60, burst=4))
    policy = "2;w=1, 60;w=60;burst=4"
    assert read_fields(await call(app, build_scope())) == ("2", "1", "1", policy)
    for _ in range(2):
        store.wait(1)
        assert await count_served(app, 5) == 2
    store.wait(1)
    assert await count_served(app, 1) == 1
    # Both are used up now; the slower one is told.
    assert read_fields(await call(app, build_scope())) == ("4", "0", "4", policy)


async def test_what_one_limit_refuses_counts_towards_none(store: FrozenStore) -> None:
    app = build(store, RateLimit(1, 1), RateLimit(3, 3600))
    assert await count_served(app, 50) == 1
    store.wait(1)
    assert await count_served(app, 50) == 1
    store.wait(1)
    assert await count_served(app, 50) == 1
    store.wait(1)
    assert await count_served(app, 50) == 0


def client(host: str) -> Scope:
    return build_scope(client=(host, 1))


async def test_each_client_has_its_own(store: FrozenStore) -> None:
    app = build(store, RateLimit(2, 60))
    assert await count_served(app, 5, client("192.0.2.1")) == 2
    assert await count_served(app, 5, client("192.0.2.2")) == 2


def test_counting_users_outside_of_what_finds_them_is_refused(store: FrozenStore) -> None:
    limits = Middleware(RateLimitMiddleware, [RateLimit(1, 60, key=user_key)], store=store)
    users = Middleware(AuthenticationMiddleware, backend=AuthenticationBackend())
    with pytest.raises(ValueError, match="RateLimitMiddleware stands outside of Authentication"):
        App(middleware=[limits, users]).build_middleware_stack()
    App(middleware=[users, limits]).build_middleware_stack()


async def test_a_key_of_ones_own_may_leave_requests_out(store: FrozenStore) -> None:
    def by_token(scope: Scope) -> str | None:
        token = dict(scope["headers"]).get(b"x-token")
        return None if token is None else token.decode()

    app = build(store, RateLimit(1, 60, key=by_token))
    assert await count_served(app, 3) == 3
    assert await count_served(app, 3, build_scope("/", "GET", ("x-token", "a"))) == 1
    assert await count_served(app, 3, build_scope("/", "GET", ("x-token", "b"))) == 1


async def hello(request: Request[Any]) -> Response:
    return PlainTextResponse("hello")


def build_app(store: FrozenStore, **limits: RateLimit) -> App:
    def around(name: str) -> list[Middleware]:
        if name not in limits:
            return []
        return [Middleware(RateLimitMiddleware, limits[name], store=store)]

    below = [
        Route("/{id:int}", hello, middleware=around("below")),
        Route("/other", hello, middleware=around("below")),
    ]
    return App(
        routes=[
            Route("/a/{id:int}", hello, middleware=around("route")),
            Route("/b", hello, middleware=around("route")),
            Mount("/m/{name}", routes=below, middleware=around("mount")),
        ],
        middleware=around("app"),
    )


def count(client: TestClient, path: str, requests: int = 4) -> int:
    return sum(client.get(path).status_code == 200 for _ in range(requests))


def test_each_route_has_its_own(client_factory: ClientFactory, store: FrozenStore) -> None:
    with client_factory(build_app(store, route=RateLimit(2, 60))) as client:
        assert count(client, "/a/1") == 2
        assert count(client, "/a/2") == 0
        assert count(client, "/b") == 2


def test_routes_share_a_limit_with_a_name(
    client_factory: ClientFactory, store: FrozenStore
) -> None:
    with client_factory(build_app(store, route=RateLimit(2, 60, name="writes"))) as client:
        assert count(client, "/a/1") == 2
        assert count(client, "/b") == 0


def test_a_mount_counts_all_below_it(client_factory: ClientFactory, store: FrozenStore) -> None:
    limits = {"mount": RateLimit(3, 60), "below": RateLimit(2, 60)}
    with client_factory(build_app(store, **limits)) as client:
        assert count(client, "/m/x/1") == 2
        # One of the mount's is left, and what its routes have refused has been counted as well.
        assert client.get("/m/y/other").status_code == 429
        assert count(client, "/b") == 4


def test_the_innermost_limit_is_told(client_factory: ClientFactory, store: FrozenStore) -> None:
    limits = {"app": RateLimit(50, 60), "route": RateLimit(2, 60)}
    with client_factory(build_app(store, **limits)) as client:
        response = client.get("/b")
        assert response.headers.get_list("ratelimit-limit") == ["2"]
        assert client.get("/m/x/1").headers.get_list("ratelimit-limit") == ["50"]


def test_all_clients_together_can_be_counted_on_a_route(
    client_factory: ClientFactory, store: FrozenStore
) -> None:
    app = build_app(store, route=RateLimit(2, 60, key=route_key))
    with client_factory(app, client=("192.0.2.1", 1)) as client:
        assert count(client, "/b") == 2
    with client_factory(app, client=("192.0.2.2", 1)) as client:
        assert count(client, "/b") == 0
    with pytest.raises(RuntimeError, match="route_key is for middleware of a route"):
        route_key(build_scope())


def test_the_application_says_how_429_looks(
    client_factory: ClientFactory, store: FrozenStore
) -> None:
    async def answer(request: Request[Any], exc: HTTPException) -> Response:
        return JSONResponse({"status": exc.status_code}, exc.status_code, exc.headers)

    app = App(
        routes=[Route("/", hello), Route("/livez", hello)],
        middleware=[
            Middleware(RateLimitMiddleware, RateLimit(1, 60), store=store, exempt=["/livez"])
        ],
        exception_handlers={HTTPException: answer},
    )
    with client_factory(app) as client:
        assert store.opened == 1
        assert client.get("/").text == "hello"
        response = client.get("/")
        assert (response.status_code, response.json()) == (429, {"status": 429})
        assert response.headers["retry-after"] == "60"
        assert response.headers["ratelimit-remaining"] == "0"
        health = client.get("/livez")
        assert health.text == "hello"
        assert "ratelimit-limit" not in health.headers


def build_socket_app(store: FrozenStore) -> App:
    async def greet(websocket: WebSocket[Any]) -> None:
        await websocket.accept()
        await websocket.close()

    return App(
        routes=[WebSocketRoute("/", greet)],
        middleware=[Middleware(RateLimitMiddleware, RateLimit(1, 60), store=store)],
    )


async def connect(app: ASGIApp, extensions: dict[str, Any]) -> list[Any]:
    channel = Channel()

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = build_scope(type="websocket", scheme="ws", extensions=extensions, subprotocols=[])
    await app(scope, receive, channel.send)
    return channel.messages


async def test_a_websocket_handshake_is_a_request(store: FrozenStore) -> None:
    app = build_socket_app(store)
    accept = (await connect(app, {}))[0]
    assert accept["type"] == "websocket.accept"
    assert (b"ratelimit-remaining", b"0") in accept["headers"]
    refused = await connect(app, {"websocket.http.response": {}})
    assert [message["type"] for message in refused] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]
    assert refused[0]["status"] == 429
    [closed] = await connect(app, {})
    assert (closed["type"], closed["code"]) == ("websocket.close", 1013)


async def test_a_store_that_fails_lets_through_and_says_so_once(
    store: FrozenStore, caplog: pytest.LogCaptureFixture
) -> None:
    app = build(store, RateLimit(1, 60))
    store.is_broken = True
    with caplog.at_level(logging.WARNING):
        assert await count_served(app, 20) == 20
    [record] = caplog.records
    assert record.name == "framework.middleware.rate_limit"
    assert record.getMessage() == (
        "rate limit store failed (gone): 1 requests let through without a limit"
    )
    store.is_broken = False
    assert await count_served(app, 5) == 1


async def test_the_next_line_of_the_log_counts_what_was_left_out(
    store: FrozenStore, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = build(store, RateLimit(1, 60))
    store.is_broken = True
    with caplog.at_level(logging.WARNING):
        await count_served(app, 20)
        monkeypatch.setattr(app, "_logs_again_at", 0.0)
        await count_served(app, 1)
    assert "20 requests let through" in caplog.records[1].getMessage()


async def test_a_store_that_fails_can_refuse_instead(
    store: FrozenStore, caplog: pytest.LogCaptureFixture
) -> None:
    app = build(store, RateLimit(1, 60), on_failure="refuse")
    store.is_broken = True
    channel = await call(app, build_scope())
    assert (channel.status, channel.headers[b"retry-after"]) == (503, b"1")
    assert "1 requests refused" in caplog.text


def test_bad_options_are_refused(store: FrozenStore) -> None:
    with pytest.raises(ValueError, match="give at least one RateLimit"):
        build(store)
    with pytest.raises(ValueError, match="on_failure='open' is neither"):
        build(store, RateLimit(1, 1), on_failure="open")
    with pytest.raises(TypeError, match="pass a collection of paths"):
        build(store, RateLimit(1, 1), exempt="/livez")


def test_without_a_store_the_workers_of_the_machine_share_memory() -> None:
    middleware = RateLimitMiddleware(PlainTextResponse("x"), RateLimit(1, 1))
    assert isinstance(middleware.store, SharedMemoryStore)
