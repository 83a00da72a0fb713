"""`App`: its stack, its error handling, its life.

What it has in common with Starlette is compared in tests/compat; here is what is our own.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from framework.applications import App
from framework.background import BackgroundTask
from framework.middleware import Middleware
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from framework.routing import Mount, Route, Router
from framework.types import Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.handlers import (
    AddHeader,
    KnownError,
    broken,
    home,
    known,
    on_known,
    refused,
)

pytestmark = pytest.mark.anyio


async def streamed(request: Request[Any]) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"begun"
        raise KnownError("too late")

    return StreamingResponse(chunks())


async def on_error(request: Request[Any], exc: Exception) -> Response:
    return JSONResponse({"error": str(exc)}, 500)


ROUTES = [
    Route("/", home),
    Route("/broken", broken),
    Route("/known", known),
    Route("/refused", refused),
    Route("/streamed", streamed),
    Mount("/m", routes=[Route("/broken", broken), Route("/known", known)]),
    Mount("/app", app=App(routes=[Route("/", home), Route("/known", known)])),
]
STACKS: dict[str, list[Middleware]] = {"bare": [], "with middleware": [Middleware(AddHeader)]}


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/", 200, "home"),
        ("/known", 422, "handled known"),
        ("/m/known", 422, "handled known"),
        ("/refused", 403, "No"),
        ("/none", 404, "Not Found"),
        ("/m/none", 404, "Not Found"),
        ("/app/none", 404, "Not Found"),
    ],
)
def test_errors_are_answered_the_same_with_and_without_middleware(
    client_factory: ClientFactory, stack: str, path: str, status: int, text: str
) -> None:
    app = App(routes=ROUTES, middleware=STACKS[stack], exception_handlers={KnownError: on_known})
    with client_factory(app) as client:
        response = client.get(path)
    assert (response.status_code, response.text) == (status, text)
    assert ("x-added" in response.headers) == bool(STACKS[stack])


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("path", ["/broken", "/m/broken"])
def test_an_unhandled_error_is_answered_once_and_raised_on(
    client_factory: ClientFactory, stack: str, path: str
) -> None:
    app = App(routes=ROUTES, middleware=STACKS[stack], exception_handlers={500: on_error})
    with client_factory(app) as client, pytest.raises(LookupError, match="broken"):
        client.get(path)
    with client_factory(app, raise_server_exceptions=False) as client:
        response = client.get(path)
    assert (response.status_code, response.json()) == (500, {"error": "broken"})
    assert ("x-added" in response.headers) == bool(STACKS[stack])


@pytest.mark.parametrize("stack", STACKS)
async def test_a_handled_error_after_the_first_byte_is_an_error_of_the_application(
    stack: str,
) -> None:
    app = App(
        routes=ROUTES,
        middleware=STACKS[stack],
        exception_handlers={KnownError: on_known, Exception: on_error},
    )
    channel = Channel(stays=True)
    with pytest.raises(RuntimeError, match="response already started") as caught:
        await app(build_scope("/streamed"), channel.receive, channel.send)
    assert isinstance(caught.value.__cause__, KnownError)
    assert [message["type"] for message in channel.messages] == [
        "http.response.start",
        "http.response.body",
    ]


@pytest.mark.parametrize("stack", STACKS)
async def test_an_exception_instance_may_be_raised_for_ever(stack: str) -> None:
    reused = KnownError("always the same")

    async def endpoint(request: Request[Any]) -> Response:
        raise reused

    app = App(
        routes=[Route("/", endpoint)],
        middleware=STACKS[stack],
        exception_handlers={KnownError: on_known},
    )
    for _ in range(3):
        assert (await call(app, build_scope())).status == 422
    assert reused.__traceback__ is None


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("accept", ["text/html", "*/*"])
async def test_the_debug_page_shows_the_error_and_escapes_it(stack: str, accept: str) -> None:
    async def endpoint(request: Request[Any]) -> Response:
        raise LookupError("<script>alert(1)</script>")

    app = App(debug=True, routes=[Route("/", endpoint)], middleware=STACKS[stack])
    channel = Channel()
    with pytest.raises(LookupError):
        await app(build_scope("/", "GET", ("accept", accept)), channel.receive, channel.send)
    page = channel.body.decode()
    assert "LookupError" in page
    assert "raise LookupError" in page
    is_page = accept == "text/html"
    assert ("<script>alert(1)</script>" in page) != is_page
    assert channel.headers[b"content-type"].startswith(b"text/html" if is_page else b"text/plain")


async def test_without_debug_nothing_of_the_error_is_told() -> None:
    channel = Channel()
    with pytest.raises(LookupError):
        await App(routes=ROUTES)(build_scope("/broken"), channel.receive, channel.send)
    assert (channel.status, channel.body) == (500, b"Internal Server Error")


async def test_a_handler_that_fails_gives_a_500() -> None:
    def on_known_badly(request: Request[Any], exc: Exception) -> Response:
        raise LookupError("in the handler")

    app = App(routes=ROUTES, exception_handlers={KnownError: on_known_badly})
    channel = Channel()
    with pytest.raises(LookupError, match="in the handler"):
        await app(build_scope("/known"), channel.receive, channel.send)
    assert (channel.status, len(channel.messages)) == (500, 2)


def test_a_handler_needs_a_status_or_an_exception_class() -> None:
    app = App(exception_handlers={"404": on_error})
    with pytest.raises(TypeError, match="'404': use a status code or an exception class"):
        app.build_middleware_stack()


async def test_the_outermost_application_hands_itself_on() -> None:
    seen: list[Any] = []

    async def plain(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["app"])
        await Response()(scope, receive, send)

    inner = App(routes=[Mount("/below", app=plain)])
    app = App(routes=[Mount("/plain", app=plain), Mount("/inner", app=inner)])
    await call(app, build_scope("/plain/"))
    await call(app, build_scope("/inner/below/"))
    assert seen == [app, inner]


def test_the_lifespan_runs_around_the_requests(client_factory: ClientFactory) -> None:
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
        events.append("start")
        yield {"pool": events}
        events.append("stop")

    async def endpoint(request: Request[Any]) -> Response:
        request.state.pool.append("request")
        request.state.own = "only this request's"
        return PlainTextResponse(str(sorted(request.scope["state"])))

    app = App(routes=[Route("/", endpoint)], lifespan=lifespan)
    with client_factory(app) as client:
        assert events == ["start"]
        assert client.get("/").text == "['own', 'pool']"
        assert client.get("/").text == "['own', 'pool']"
    assert events == ["start", "request", "request", "stop"]


def test_a_lifespan_that_fails_stops_the_start(client_factory: ClientFactory) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: App) -> AsyncIterator[None]:
        if app.debug:
            yield
        raise LookupError("no database")

    with (
        pytest.raises(LookupError, match="no database"),
        client_factory(App(lifespan=lifespan)),
    ):
        pass


async def test_requests_at_the_same_time_do_not_mix(anyio_backend_name: str) -> None:
    async def endpoint(request: Request[Any]) -> Response:
        await anyio.lowlevel.checkpoint()
        request.state.name = request.path_params["name"]
        await anyio.lowlevel.checkpoint()
        return PlainTextResponse(f"{request.state.name} {request.url.path}")

    app = App(routes=[Route("/{name}", endpoint)])
    bodies: dict[str, bytes] = {}

    async def fetch(name: str) -> None:
        bodies[name] = (await call(app, build_scope(f"/{name}"))).body

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(fetch, f"n{number}")
    assert bodies == {f"n{n}": f"n{n} /n{n}".encode() for n in range(20)}


async def test_a_failing_background_task_is_not_answered_twice() -> None:
    def fail() -> None:
        raise KnownError("behind the answer")

    async def endpoint(request: Request[Any]) -> Response:
        return PlainTextResponse("sent", background=BackgroundTask(fail))

    app = App(routes=[Route("/", endpoint)], exception_handlers={500: on_error})
    channel = Channel()
    with pytest.raises(KnownError):
        await app(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.body, len(channel.messages)) == (200, b"sent", 2)


def test_a_head_request_is_answered_like_a_get(client_factory: ClientFactory) -> None:
    with client_factory(App(routes=ROUTES)) as client:
        assert client.head("/").headers["content-length"] == "4"


@pytest.mark.parametrize("limit", [-1, -100])
def test_a_negative_body_limit_is_refused(limit: int) -> None:
    with pytest.raises(ValueError, match=f"max_body_size={limit} must not be negative"):
        App(max_body_size=limit).build_middleware_stack()
    with pytest.raises(ValueError, match="must not be negative"):
        Route("/", home, max_body_size=limit)


async def test_a_body_limit_of_nothing_lets_nothing_in() -> None:
    async def endpoint(request: Request[Any]) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    app = App(routes=[Route("/", endpoint, methods=["POST"])], max_body_size=0)
    assert (await call(app, build_scope("/", "POST"))).body == b"0"
    assert (await call(app, build_scope("/", "POST"), b"x")).status == 413


async def test_a_body_that_is_declared_too_long_is_not_read() -> None:
    app = App(routes=[Route("/", home, methods=["POST"])], max_body_size=10)
    channel = Channel(b"x" * 5, b"x" * 6)
    scope = build_scope("/", "POST", ("content-length", "11"))
    await app(scope, channel.receive, channel.send)
    assert (channel.status, channel.received) == (413, 0)
    assert channel.headers[b"connection"] == b"close"


async def test_a_body_without_end_is_read_up_to_the_limit() -> None:
    async def endpoint(request: Request[Any]) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    app = App(routes=[Route("/", endpoint, methods=["POST"])], max_body_size=10)
    channel = Channel(*[b"x" * 4] * 1000)
    await app(build_scope("/", "POST"), channel.receive, channel.send)
    assert (channel.status, channel.received) == (413, 3)


@pytest.mark.parametrize("length", ["-1", "abc", "", "1_0", "٣", "9" * 5000, "+5", " 5"])
async def test_a_nonsense_content_length_is_no_server_error(length: str) -> None:
    app = App(routes=[Route("/", home, methods=["POST"])], max_body_size=10)
    scope = build_scope("/", "POST")
    scope["headers"].append((b"content-length", length.encode()))
    channel = await call(app, scope, b"xx")
    assert channel.status in {200, 413}


def test_an_app_below_an_app_handles_its_own_errors(client_factory: ClientFactory) -> None:
    inner = App(
        routes=[Route("/known", known), Route("/refused", refused)],
        exception_handlers={KnownError: lambda request, exc: PlainTextResponse("inner", 400)},
    )
    app = App(
        routes=[Mount("/in", app=inner), Mount("/router", app=Router([Route("/known", known)]))],
        exception_handlers={KnownError: on_known, 403: on_error},
    )
    with client_factory(app) as client:
        assert client.get("/in/known").text == "inner"
        assert client.get("/router/known").text == "handled known"
        assert client.get("/in/refused").text == "No"
