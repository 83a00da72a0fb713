"""fastapi-pagination: parameters, response models and links on top of FastAPI."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from fastapi_pagination import Page, add_pagination, paginate
from fastapi_pagination.links import Page as LinkedPage

app = FastAPI()


@app.get("/numbers")
def numbers() -> Page[int]:
    return paginate(range(100))


@app.get("/linked")
async def linked() -> LinkedPage[int]:
    return paginate(range(100))


add_pagination(app)


@pytest.fixture
def client(backend: str) -> TestClient:
    return TestClient(app, backend=backend)


def test_a_page(client: TestClient) -> None:
    page = client.get("/numbers", params={"page": 3, "size": 2}).json()
    assert page == {"items": [4, 5], "total": 100, "page": 3, "size": 2, "pages": 50}
    assert client.get("/numbers", params={"page": 0}).status_code == 422


def test_links_are_built_from_the_url_of_the_request(client: TestClient) -> None:
    links = client.get("/linked?size=10&page=2").json()["links"]
    assert links == {
        "first": "/linked?size=10&page=1",
        "last": "/linked?size=10&page=10",
        "self": "/linked?size=10&page=2",
        "next": "/linked?size=10&page=3",
        "prev": "/linked?size=10&page=1",
    }
