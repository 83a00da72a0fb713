"""starlette-context: what a request says about itself, for code that has no request at hand."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette_context import context, plugins
from starlette_context.header_keys import HeaderKeys
from starlette_context.middleware import ContextMiddleware, RawContextMiddleware


async def show(request: Request) -> JSONResponse:
    context["path"] = request.url.path
    return JSONResponse(
        {key: str(context[key]) for key in (HeaderKeys.request_id, HeaderKeys.api_key, "path")}
    )


def show_in_thread(request: Request) -> JSONResponse:
    return JSONResponse({"id": context[HeaderKeys.request_id]})


@pytest.fixture(params=[ContextMiddleware, RawContextMiddleware])
def client(backend: str, request: pytest.FixtureRequest) -> TestClient:
    chosen = (plugins.RequestIdPlugin(), plugins.ApiKeyPlugin(), plugins.CorrelationIdPlugin())
    return TestClient(
        Starlette(
            routes=[Route("/", show), Mount("/m", routes=[Route("/thread", show_in_thread)])],
            middleware=[Middleware(request.param, plugins=chosen)],
        ),
        backend=backend,
    )


ID = "5ca1ab1e0ff1ce0ff1ce0ff1ce0ff1ce"


def test_the_context_holds_what_plugins_read(client: TestClient) -> None:
    response = client.get("/", headers={"X-Request-ID": ID, "X-API-Key": "k"})
    assert response.json() == {"X-Request-ID": ID, "X-API-Key": "k", "path": "/"}
    assert response.headers["x-request-id"] == ID
    assert len(response.headers["x-correlation-id"]) == 32


def test_the_context_reaches_threads(client: TestClient) -> None:
    assert client.get("/m/thread", headers={"X-Request-ID": ID}).json() == {"id": ID}


def test_a_plugin_may_refuse_a_request(client: TestClient) -> None:
    assert client.get("/", headers={"X-Request-ID": "not a uuid"}).status_code == 400


def test_the_context_ends_with_the_request(client: TestClient) -> None:
    client.get("/")
    assert not context.exists()
