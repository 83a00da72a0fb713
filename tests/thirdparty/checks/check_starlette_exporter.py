"""starlette-exporter: finds the template of a route by asking the application's routes itself."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette_exporter import PrometheusMiddleware, handle_metrics


async def show(request: Request) -> JSONResponse:
    return JSONResponse({"id": request.path_params["id"]})


async def save(request: Request) -> Response:
    return Response(status_code=204)


async def fail(request: Request) -> Response:
    raise ValueError("unforeseen")


@pytest.fixture(scope="module")
def client() -> TestClient:
    app = Starlette(
        routes=[
            Route("/users/{id:int}", show),
            Route("/fail", fail),
            Mount("/m", routes=[Route("/{id}/save", save, methods=["POST"])]),
        ]
    )
    app.add_middleware(PrometheusMiddleware, app_name="checked", group_paths=True)
    app.add_route("/metrics", handle_metrics)
    return TestClient(app, raise_server_exceptions=False)


def count(method: str, path: str, status: int) -> float | None:
    labels = {"method": method, "path": path, "status_code": str(status), "app_name": "checked"}
    return REGISTRY.get_sample_value("starlette_requests_total", labels)


def test_requests_are_counted_by_template(client: TestClient) -> None:
    assert client.get("/users/1").json() == {"id": 1}
    assert client.get("/users/2").json() == {"id": 2}
    assert count("GET", "/users/{id:int}", 200) == 2


def test_a_template_below_a_mount_is_joined(client: TestClient) -> None:
    assert client.post("/m/7/save").status_code == 204
    assert count("POST", "/m/{id}/save", 204) == 1


def test_failures_are_counted(client: TestClient) -> None:
    assert client.get("/fail").status_code == 500
    assert count("GET", "/fail", 500) == 1


def test_what_is_not_routed_is_not_counted(client: TestClient) -> None:
    assert client.get("/none").status_code == 404
    assert client.post("/users/1").status_code == 405
    assert count("GET", "/none", 404) is count("POST", "/users/1", 405) is None


def test_the_metrics_are_served(client: TestClient) -> None:
    page = client.get("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    assert 'starlette_requests_total{app_name="checked"' in page.text
