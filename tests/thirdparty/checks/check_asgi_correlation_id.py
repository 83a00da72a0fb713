"""asgi-correlation-id: a pure ASGI middleware that puts an id on each response and into log records."""

from __future__ import annotations

import logging

import pytest
from asgi_correlation_id import CorrelationIdFilter, CorrelationIdMiddleware, correlation_id
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient


async def show(request: Request) -> JSONResponse:
    logging.getLogger("app").warning("shown")
    return JSONResponse({"id": correlation_id.get()})


def fail(request: Request) -> PlainTextResponse:
    raise ValueError(correlation_id.get())


@pytest.fixture
def client(backend: str) -> TestClient:
    middleware = [Middleware(CorrelationIdMiddleware, header_name="X-Request-ID", validator=None)]
    app = Starlette(routes=[Route("/", show), Route("/fail", fail)], middleware=middleware)
    return TestClient(app, backend=backend, raise_server_exceptions=False)


def test_the_id_reaches_the_endpoint_and_the_response(client: TestClient) -> None:
    response = client.get("/", headers={"X-Request-ID": "abc"})
    assert response.json() == {"id": "abc"}
    assert response.headers["x-request-id"] == "abc"


def test_each_request_has_an_id_of_its_own(client: TestClient) -> None:
    ids = {client.get("/").headers["x-request-id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_miss_carries_the_id(client: TestClient) -> None:
    assert client.get("/none", headers={"X-Request-ID": "n"}).headers["x-request-id"] == "n"


@pytest.mark.difference("the 500 is sent outside of all middleware")
def test_an_unhandled_exception_carries_the_id(client: TestClient) -> None:
    response = client.get("/fail", headers={"X-Request-ID": "f"})
    assert (response.status_code, response.headers["x-request-id"]) == (500, "f")


def test_log_records_carry_the_id(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(CorrelationIdFilter())
    client.get("/", headers={"X-Request-ID": "logged"})
    assert [record.correlation_id for record in caplog.records] == ["logged"]
