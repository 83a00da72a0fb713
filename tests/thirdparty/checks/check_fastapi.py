"""FastAPI: the application of its tutorial, served by the classes of the framework."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Header,
    HTTPException,
    Path,
    Query,
    Request,
    Response,
    Security,
    status,
)
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

NOTES: list[str] = []


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)
    tags: set[str] = set()


class Unicorn(Exception):
    def __init__(self, name: str) -> None:
        self.name = name


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    NOTES.append("start")
    yield {"pool": "open"}
    NOTES.append("stop")


async def open_session() -> AsyncIterator[str]:
    NOTES.append("session opened")
    try:
        yield "session"
    except Unicorn:
        NOTES.append("session rolled back")
        raise
    finally:
        NOTES.append("session closed")


def open_sync(session: Annotated[str, Depends(open_session)]) -> Iterator[str]:
    yield f"sync {session}"
    NOTES.append("sync closed")


def require_token(x_token: Annotated[str | None, Header()] = None) -> None:
    if x_token != "secret":
        raise HTTPException(status.HTTP_401_UNAUTHORIZED, "No token", {"WWW-Authenticate": "Own"})


def add_paths(app: FastAPI) -> None:
    @app.get("/items/{item_id}")
    async def read_item(
        item_id: Annotated[int, Path(ge=1)], q: Annotated[list[str] | None, Query()] = None
    ) -> dict[str, Any]:
        return {"item_id": item_id, "q": q}

    @app.post("/items/", status_code=201)
    def create_item(item: Item, response: Response, ads: Annotated[str, Cookie()] = "") -> Item:
        response.set_cookie("seen", item.name)
        response.headers["X-Ads"] = ads
        return item

    @app.get("/files/{path:path}", response_class=PlainTextResponse)
    async def read_path(path: str) -> str:
        return path

    @app.get("/old")
    async def redirect() -> RedirectResponse:
        return RedirectResponse("/items/1", status_code=308)

    @app.get("/lines")
    async def lines() -> StreamingResponse:
        return StreamingResponse((f"{n}\n" for n in range(3)), media_type="text/plain")

    @app.get("/state")
    async def state(request: Request) -> dict[str, str]:
        return {"pool": request.state.pool, "url": str(request.url_for("read_item", item_id=3))}


def add_behaviours(app: FastAPI) -> None:
    @app.get("/session")
    async def session(value: Annotated[str, Depends(open_sync)]) -> str:
        return value

    @app.get("/unicorns/{name}")
    async def unicorn(name: str, value: Annotated[str, Depends(open_session)]) -> str:
        raise Unicorn(name)

    @app.post("/notify/{email}")
    async def notify(email: str, tasks: BackgroundTasks) -> dict[str, str]:
        tasks.add_task(NOTES.append, f"mail to {email}")
        return {"message": "later"}

    @app.get("/fail")
    def fail() -> None:
        raise ValueError("unforeseen")

    @app.get("/me")
    def me(user: Annotated[HTTPBasicCredentials, Security(HTTPBasic())]) -> str:
        return user.username

    @app.exception_handler(Unicorn)
    async def handle_unicorn(request: Request, exc: Unicorn) -> JSONResponse:
        return JSONResponse({"message": f"{exc.name} did it"}, status_code=418)

    @app.exception_handler(RequestValidationError)
    async def handle_invalid(request: Request, exc: RequestValidationError) -> JSONResponse:
        body = (await request.body()).decode()
        errors = [{"loc": list(e["loc"]), "type": e["type"]} for e in exc.errors()]
        return JSONResponse({"errors": errors, "body": body}, status_code=422)

    @app.middleware("http")
    async def add_time(request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        response.headers["X-Process-Time"] = "0"
        return response


def build_app() -> FastAPI:
    app = FastAPI(title="Tutorial", lifespan=lifespan)
    add_paths(app)
    add_behaviours(app)
    router = APIRouter(prefix="/users", tags=["users"], dependencies=[Depends(require_token)])

    @router.get("/{user_id}", name="user")
    async def read_user(user_id: int, request: Request) -> dict[str, str]:
        return {"path": request.url_for("user", user_id=user_id).path}

    app.include_router(router, prefix="/v1")
    inner = FastAPI(title="Inner")

    @inner.get("/deep/{n}")
    def deep(n: int, request: Request) -> dict[str, Any]:
        return {"n": n, "root_path": request.scope["root_path"]}

    app.mount("/inner", inner)
    return app


@pytest.fixture
def client(backend: str) -> Iterator[TestClient]:
    NOTES.clear()
    with TestClient(build_app(), backend=backend, raise_server_exceptions=False) as client:
        yield client


def test_path_and_query(client: TestClient) -> None:
    response = client.get("/items/5", params={"q": ["a", "b"]})
    assert response.json() == {"item_id": 5, "q": ["a", "b"]}
    assert response.headers["x-process-time"] == "0"
    assert client.get("/files/a/b.txt").text == "a/b.txt"
    refused = client.get("/items/none")
    assert refused.status_code == 422
    assert refused.json()["errors"] == [{"loc": ["path", "item_id"], "type": "int_parsing"}]


def test_body(client: TestClient) -> None:
    client.cookies.set("ads", "yes")
    response = client.post("/items/", json={"name": "Foo", "price": 1, "tags": ["a", "a"]})
    assert (response.status_code, response.headers["x-ads"]) == (201, "yes")
    assert response.json() == {"name": "Foo", "price": 1.0, "tags": ["a"]}
    assert response.cookies["seen"] == "Foo"


def test_an_invalid_body_can_be_echoed(client: TestClient) -> None:
    response = client.post("/items/", json={"name": "Foo", "price": 0})
    assert response.status_code == 422
    assert response.json() == {
        "errors": [{"loc": ["body", "price"], "type": "greater_than"}],
        "body": '{"name":"Foo","price":0}',
    }


def test_broken_json_is_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/items/", content=b'{"name": ', headers=headers)
    assert (response.status_code, response.json()["errors"][0]["type"]) == (422, "json_invalid")


def test_dependencies_are_left_after_the_response(client: TestClient) -> None:
    assert client.get("/session").json() == "sync session"
    assert NOTES == ["start", "session opened", "sync closed", "session closed"]


def test_a_dependency_sees_the_exception_of_its_endpoint(client: TestClient) -> None:
    response = client.get("/unicorns/yolo")
    assert (response.status_code, response.json()) == (418, {"message": "yolo did it"})
    assert NOTES[1:] == ["session opened", "session rolled back", "session closed"]


def test_background_tasks_run(client: TestClient) -> None:
    assert client.post("/notify/a@example.org").json() == {"message": "later"}
    assert NOTES[1:] == ["mail to a@example.org"]


def test_an_included_router_has_its_dependencies(client: TestClient) -> None:
    refused = client.get("/v1/users/7")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Own")
    assert refused.json() == {"detail": "No token"}
    allowed = client.get("/v1/users/7", headers={"X-Token": "secret"})
    assert allowed.json() == {"path": "/v1/users/7"}


def test_a_mounted_application(client: TestClient) -> None:
    assert client.get("/inner/deep/3").json() == {"n": 3, "root_path": "/inner"}
    assert client.get("/inner/openapi.json").json()["servers"] == [{"url": "/inner"}]


def test_the_lifespan_gives_state(client: TestClient) -> None:
    assert client.get("/state").json() == {"pool": "open", "url": "http://testserver/items/3"}
    client.__exit__()
    assert NOTES == ["start", "stop"]
    client.__enter__()


def test_responses_of_all_kinds(client: TestClient) -> None:
    assert client.get("/lines").text == "0\n1\n2\n"
    assert client.get("/old", follow_redirects=False).headers["location"] == "/items/1"
    assert client.get("/me").headers["www-authenticate"] == "Basic"
    assert client.get("/me", auth=("ann", "pw")).json() == "ann"


def test_what_no_route_answers(client: TestClient) -> None:
    assert client.get("/nowhere").json() == {"detail": "Not Found"}
    refused = client.delete("/items/1")
    assert (refused.status_code, refused.json()) == (405, {"detail": "Method Not Allowed"})
    assert refused.headers["allow"] == "GET"
    assert client.post("/items", json={}, follow_redirects=False).status_code == 307
    assert client.get("/fail").text == "Internal Server Error"


def test_the_openapi_document_and_its_pages(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["info"] == {"title": "Tutorial", "version": "0.1.0"}
    assert {"/items/{item_id}", "/items/", "/v1/users/{user_id}"} <= set(document["paths"])
    assert "Item" in document["components"]["schemas"]
    assert "swagger-ui" in client.get("/docs").text
    assert "redoc" in client.get("/redoc").text
    assert client.get("/docs/oauth2-redirect").status_code == 200


def test_dependencies_can_be_overridden(client: TestClient) -> None:
    app: Any = client.app
    app.dependency_overrides[open_session] = lambda: "other"
    assert client.get("/session").json() == "sync other"
