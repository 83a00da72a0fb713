"""The pages "Applications", "Lifespan" and "Background Tasks" of Starlette's documentation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, TypedDict

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask, BackgroundTasks
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

NOTES: list[str] = []


class State(TypedDict):
    pool: dict[str, str]


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    NOTES.append("start")
    yield {"pool": {"opened": "by lifespan"}}
    NOTES.append("stop")


def homepage(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"Hello, {request.app.state.ADMIN}")


def user(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"Hello, {request.path_params['username']}")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text(f"Hello, {websocket.state.pool['opened']}")
    await websocket.close()


async def show_state(request: Request) -> JSONResponse:
    request.state.own = 1
    return JSONResponse({"pool": request.state.pool, "typed": request.state["pool"]})


async def sign_up(request: Request) -> JSONResponse:
    task = BackgroundTask(NOTES.append, "one")
    return JSONResponse({"ok": True}, background=task)


async def note(text: str, *, times: int) -> None:
    NOTES.extend([text] * times)


async def sign_up_twice(request: Request) -> JSONResponse:
    tasks = BackgroundTasks()
    tasks.add_task(NOTES.append, "first")
    tasks.add_task(note, "second", times=2)
    return JSONResponse({"ok": True}, background=tasks)


class AddHeader:
    def __init__(self, app: Any, value: bytes) -> None:
        self.app = app
        self.value = value

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_more(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-layer", self.value))
            await send(message)

        await self.app(scope, receive, send_more)


def build_app() -> Starlette:
    inner = Starlette(routes=[Route("/state", show_state)])
    app = Starlette(
        routes=[
            Route("/", homepage),
            Route("/user/{username}", user),
            WebSocketRoute("/ws", socket),
            Route("/state", show_state),
            Route("/sign-up", sign_up, methods=["POST"]),
            Route("/sign-up-twice", sign_up_twice, methods=["POST"]),
            Mount("/inner", app=inner),
        ],
        lifespan=lifespan,
        middleware=[Middleware(AddHeader, value=b"outer"), Middleware(AddHeader, value=b"inner")],
    )
    app.state.ADMIN = "admin@example.org"
    return app


@pytest.fixture
def app() -> Starlette:
    NOTES.clear()
    return build_app()


def test_the_application_of_the_page(app: Starlette, backend: str) -> None:
    with TestClient(app, backend=backend) as client:
        assert client.get("/").text == "Hello, admin@example.org"
        assert client.get("/user/ann").text == "Hello, ann"
        with client.websocket_connect("/ws") as session:
            assert session.receive_text() == "Hello, by lifespan"
        assert NOTES == ["start"]
    assert NOTES == ["start", "stop"]


def test_the_lifespan_state_reaches_requests(app: Starlette, backend: str) -> None:
    with TestClient(app, backend=backend) as client:
        expected = {"pool": {"opened": "by lifespan"}, "typed": {"opened": "by lifespan"}}
        assert client.get("/state").json() == expected
        assert client.get("/inner/state").json() == expected
        assert client.app_state == {"pool": {"opened": "by lifespan"}}


def test_without_a_context_the_lifespan_does_not_run(app: Starlette) -> None:
    assert TestClient(app).get("/user/ann").status_code == 200
    assert NOTES == []


def test_background_tasks_run_in_order(app: Starlette, backend: str) -> None:
    client = TestClient(app, backend=backend)
    assert client.post("/sign-up").json() == {"ok": True}
    assert client.post("/sign-up-twice").json() == {"ok": True}
    assert NOTES == ["one", "first", "second", "second"]


def test_middleware_is_a_list_from_outside_in(app: Starlette) -> None:
    assert TestClient(app).get("/").headers.get_list("x-layer") == ["inner", "outer"]


def test_middleware_may_be_added(app: Starlette) -> None:
    app.add_middleware(AddHeader, value=b"outermost")
    client = TestClient(app)
    assert client.get("/").headers.get_list("x-layer") == ["inner", "outer", "outermost"]
    with pytest.raises(RuntimeError):
        app.add_middleware(AddHeader, value=b"too late")


def test_names_are_reversed(app: Starlette) -> None:
    assert app.url_path_for("user", username="ann") == "/user/ann"
    assert [route.path for route in app.routes][:2] == ["/", "/user/{username}"]


def test_routes_may_be_added(app: Starlette) -> None:
    app.add_route("/late", homepage, methods=["PUT"])
    app.mount("/late-mount", Starlette(routes=[Route("/", homepage)]))
    client = TestClient(app)
    assert client.put("/late").status_code == 200
    assert client.get("/late").status_code == 405


def test_debug_shows_the_traceback() -> None:
    def fail(request: Request) -> PlainTextResponse:
        raise RuntimeError("shown to developers")

    client = TestClient(
        Starlette(debug=True, routes=[Route("/", fail)]), raise_server_exceptions=False
    )
    response = client.get("/", headers={"accept": "text/html"})
    assert (response.status_code, "shown to developers" in response.text) == (500, True)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert client.get("/").headers["content-type"] == "text/plain; charset=utf-8"
