"""FastAPI: the middleware and templates that it hands on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.middleware.httpsredirect import HTTPSRedirectMiddleware
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.templating import Jinja2Templates
from fastapi.testclient import TestClient
from starlette.middleware.sessions import SessionMiddleware

ORIGIN = "https://app.example.org"


async def yields() -> AsyncIterator[str]:
    yield "value"


def build_app(folder: Path) -> FastAPI:
    app = FastAPI()
    (folder / "page.html").write_text("<b>{{ name }}</b>{{ url_for('show', name='x') }}")
    templates = Jinja2Templates(directory=folder)

    @app.get("/show/{name}")
    def show(request: Request, name: str, value: Annotated[str, Depends(yields)]) -> Response:
        return templates.TemplateResponse(request, "page.html", {"name": f"{name} {value}"})

    @app.get("/visits")
    def count(request: Request) -> int:
        request.session["n"] = request.session.get("n", 0) + 1
        return int(request.session["n"])

    @app.get("/large")
    def large() -> str:
        return "x" * 2000

    return app


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    return build_app(tmp_path)


def test_templates(app: FastAPI, backend: str) -> None:
    response = TestClient(app, backend=backend).get("/show/ann")
    assert response.text == "<b>ann value</b>http://testserver/show/x"


def test_cors(app: FastAPI) -> None:
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_methods=["*"])
    client = TestClient(app)
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}
    preflight = client.options("/large", headers=headers)
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert client.get("/large", headers=headers).headers["access-control-allow-origin"] == ORIGIN


def test_gzip(app: FastAPI) -> None:
    app.add_middleware(GZipMiddleware, minimum_size=500)
    response = TestClient(app).get("/large", headers={"accept-encoding": "gzip"})
    assert (response.headers["content-encoding"], len(response.json())) == ("gzip", 2000)


def test_sessions(app: FastAPI) -> None:
    app.add_middleware(SessionMiddleware, secret_key="a key of some length")
    client = TestClient(app, base_url="https://testserver")
    assert [client.get("/visits").json() for _ in range(3)] == [1, 2, 3]


def test_hosts_and_https(app: FastAPI) -> None:
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=["testserver"])
    app.add_middleware(HTTPSRedirectMiddleware)
    client = TestClient(app, follow_redirects=False)
    assert client.get("/large").headers["location"] == "https://testserver/large"
    secure = TestClient(app, base_url="https://evil.example")
    assert secure.get("/large").status_code == 400
