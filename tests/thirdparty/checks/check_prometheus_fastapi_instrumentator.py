"""prometheus-fastapi-instrumentator (asyncio only) on an application without FastAPI."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient


async def answer(request: Request) -> PlainTextResponse:
    return PlainTextResponse("x" * 10)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def client(registry: CollectorRegistry) -> TestClient:
    inner = Starlette(routes=[Route("/{name}/answer", answer)])
    app = Starlette(routes=[Route("/a/{id}", answer), Mount("/in", app=inner)])
    Instrumentator(registry=registry, excluded_handlers=["/metrics"]).instrument(app).expose(app)
    return TestClient(app)


def count(registry: CollectorRegistry, handler: str, status: str = "2xx") -> float | None:
    labels = {"handler": handler, "method": "GET", "status": status}
    return registry.get_sample_value("http_requests_total", labels)


def test_requests_are_counted_by_template(registry: CollectorRegistry, client: TestClient) -> None:
    for path in ("/a/1", "/a/2", "/in/b/answer"):
        assert client.get(path).text == "x" * 10
    assert client.get("/nowhere").status_code == 404
    assert count(registry, "/a/{id}") == 2
    assert count(registry, "/in/{name}/answer") == 1
    assert count(registry, "none", "4xx") == 1


def test_the_metrics_are_served(client: TestClient) -> None:
    client.get("/a/1")
    page = client.get("/metrics")
    assert 'http_requests_total{handler="/a/{id}",method="GET",status="2xx"} 1.0' in page.text
