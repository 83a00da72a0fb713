"""FastAPI: static files, and a built front end that is served where no route matches."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient


@pytest.fixture
def client(tmp_path: Path, backend: str) -> TestClient:
    (tmp_path / "index.html").write_text("<b>start</b>")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "app.js").write_text("run()")
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=tmp_path, html=True), name="static")
    router = APIRouter(prefix="/front")

    @router.get("/api")
    def api() -> str:
        return "api"

    router.frontend("/", directory=tmp_path)
    app.include_router(router)
    return TestClient(app, backend=backend)


def test_static_files(client: TestClient) -> None:
    script = client.get("/static/deep/app.js")
    assert script.text == "run()"
    assert script.headers["content-type"].startswith("text/javascript")
    headers = {"if-none-match": script.headers["etag"]}
    assert client.get("/static/deep/app.js", headers=headers).status_code == 304
    assert client.get("/static/").text == "<b>start</b>"
    assert client.get("/static/none").status_code == 404
    assert client.post("/static/index.html").status_code == 405
    assert client.get("/static/%2e%2e/secret").status_code == 404


def test_a_front_end_behind_the_routes(client: TestClient) -> None:
    assert client.get("/front/api").json() == "api"
    assert client.get("/front/").text == "<b>start</b>"
    assert client.get("/front/deep/app.js").text == "run()"
    assert client.get("/front/any/page", headers={"accept": "text/html"}).text == "<b>start</b>"
