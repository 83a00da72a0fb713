"""The page "Requests" of Starlette's documentation, form and files apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.datastructures import URL, Address, Headers, QueryParams
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


async def bare(scope: Any, receive: Any, send: Any) -> None:
    request = Request(scope, receive)
    await Response(f"{request.method} {request.url.path}")(scope, receive, send)


async def show(request: Request) -> JSONResponse:
    assert isinstance(request.url, URL)
    assert isinstance(request.headers, Headers)
    assert isinstance(request.query_params, QueryParams)
    assert isinstance(request.client, Address)
    return JSONResponse(
        {
            "method": request.method,
            "url": [request.url.path, request.url.port, request.url.scheme, request.url.query],
            "host": request.headers["Host"],
            "query": request.query_params.multi_items(),
            "path": dict(request.path_params),
            "client": list(request.client),
            "cookies": request.cookies,
            "base_url": str(request.base_url),
            "scope": [request["type"], request.get("nothing"), len(request) == len(request.scope)],
        }
    )


async def read_body(request: Request) -> JSONResponse:
    first, second = await request.body(), await request.body()
    return JSONResponse({"same": first is second, "size": len(first)})


async def read_json(request: Request) -> JSONResponse:
    return JSONResponse({"twice": [await request.json(), await request.json()]})


async def read_stream(request: Request) -> PlainTextResponse:
    body = b""
    async for chunk in request.stream():
        body += chunk
    return PlainTextResponse(body)


async def share(request: Request) -> JSONResponse:
    request.state.time_started = 5
    again: HTTPConnection[Any] = HTTPConnection(request.scope)
    return JSONResponse({"state": again.state.time_started, "app": request.app.state.name})


async def link(request: Request) -> JSONResponse:
    url = request.url_for("show", number=1)
    return JSONResponse(
        [
            str(url),
            str(url.include_query_params(a="b c")),
            str(request.url.replace(scheme="https", path="/x")),
            str(request.url.remove_query_params("secret")),
        ]
    )


async def watch(request: Request) -> StreamingResponse:
    async def numbers() -> Any:
        for number in range(1000):
            if number == 3 or await request.is_disconnected():
                break
            yield f"{number}"

    return StreamingResponse(numbers())


@pytest.fixture
def client(backend: str) -> TestClient:
    app = Starlette(
        routes=[
            Route("/show/{number:int}", show, methods=["GET", "PATCH"], name="show"),
            Route("/body", read_body, methods=["POST"]),
            Route("/json", read_json, methods=["POST"]),
            Route("/stream", read_stream, methods=["POST"]),
            Route("/share", share),
            Route("/link", link),
            Route("/watch", watch),
            Mount("/bare", app=bare),
        ]
    )
    app.state.name = "example"
    return TestClient(app, backend=backend, client=("192.0.2.1", 4242))


def test_what_a_request_says(client: TestClient) -> None:
    client.cookies.set("mycookie", "a value")
    assert client.patch("/show/5?search=a&search=b%20c").json() == {
        "method": "PATCH",
        "url": ["/show/5", None, "http", "search=a&search=b%20c"],
        "host": "testserver",
        "query": [["search", "a"], ["search", "b c"]],
        "path": {"number": 5},
        "client": ["192.0.2.1", 4242],
        "cookies": {"mycookie": "a value"},
        "base_url": "http://testserver/",
        "scope": ["http", None, True],
    }


def test_a_request_of_a_bare_application(client: TestClient) -> None:
    assert client.put("/bare/anything").text == "PUT /bare/anything"


def test_the_body(client: TestClient) -> None:
    assert client.post("/body", content=b"x" * 70_000).json() == {"same": True, "size": 70_000}
    assert client.post("/json", json={"a": [1]}).json() == {"twice": [{"a": [1]}, {"a": [1]}]}
    assert client.post("/stream", content=iter([b"a", b"b"])).text == "ab"


def test_state_and_application(client: TestClient) -> None:
    assert client.get("/share").json() == {"state": 5, "app": "example"}


def test_urls(client: TestClient) -> None:
    assert client.get("/link?a=1&secret=2").json() == [
        "http://testserver/show/1",
        "http://testserver/show/1?a=b+c",
        "https://testserver/x?a=1&secret=2",
        "http://testserver/link?a=1",
    ]


def test_a_stream_may_watch_its_client(client: TestClient) -> None:
    assert client.get("/watch").text == "012"


def test_a_client_that_leaves_is_noticed(backend: str) -> None:
    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    with pytest.raises(ClientDisconnect):
        anyio.run(Request(scope, receive).body, backend=backend)


@pytest.mark.parametrize(
    "read", [lambda request: request.session, lambda request: request.user], ids=["session", "user"]
)
@pytest.mark.difference("AssertionError, which python -O takes away")
def test_what_a_middleware_would_have_set(read: Callable[[Any], Any]) -> None:
    with pytest.raises(RuntimeError):
        read(Request({"type": "http", "headers": []}))
