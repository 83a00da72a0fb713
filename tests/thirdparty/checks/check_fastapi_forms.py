"""FastAPI: forms, uploads and files of its tutorial."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pytest
from fastapi import FastAPI, File, Form, Request, UploadFile
from fastapi.responses import FileResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

app = FastAPI()


class Login(BaseModel):
    username: str
    password: str
    model_config = {"extra": "forbid"}


@app.post("/login")
async def login(data: Annotated[Login, Form()]) -> str:
    return data.username


@app.post("/bytes")
def read_bytes(file: Annotated[bytes, File()]) -> int:
    return len(file)


@app.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, Form()] = "") -> dict[str, object]:
    start = await file.read(3)
    await file.seek(0)
    return {
        "name": file.filename,
        "type": file.content_type,
        "size": file.size,
        "start": start.decode(),
        "all": (await file.read()).decode(),
        "note": note,
    }


@app.post("/many")
async def many(files: list[UploadFile]) -> list[str | None]:
    return [file.filename for file in files]


@app.post("/raw")
async def raw(request: Request) -> list[tuple[str, str]]:
    async with request.form() as form:
        return [(key, getattr(value, "filename", value)) for key, value in form.multi_items()]


@app.get("/self")
async def send_self() -> FileResponse:
    return FileResponse(Path(__file__), filename="check.py")


@pytest.fixture
def client(backend: str) -> TestClient:
    return TestClient(app, backend=backend)


def test_a_form(client: TestClient) -> None:
    assert client.post("/login", data={"username": "ann", "password": "ä&="}).json() == "ann"
    refused = client.post("/login", data={"username": "ann", "extra": "1"})
    assert refused.status_code == 422
    assert {error["type"] for error in refused.json()["detail"]} == {"missing", "extra_forbidden"}


def test_uploads(client: TestClient) -> None:
    assert client.post("/bytes", files={"file": b"12345"}).json() == 5
    file = ("ä.txt", b"content", "text/plain")
    response = client.post("/upload", files={"file": file}, data={"note": "n"})
    assert response.json() == {
        "name": "ä.txt",
        "type": "text/plain",
        "size": 7,
        "start": "con",
        "all": "content",
        "note": "n",
    }


def test_several_uploads(client: TestClient) -> None:
    files = [("files", ("a", b"1")), ("files", ("b", b"2"))]
    assert client.post("/many", files=files).json() == ["a", "b"]
    response = client.post("/raw", files=files, data={"x": ["1", "2"]})
    assert response.json() == [["x", "1"], ["x", "2"], ["files", "a"], ["files", "b"]]


def test_a_large_upload_is_spooled(client: TestClient) -> None:
    assert client.post("/bytes", files={"file": b"x" * 3_000_000}).json() == 3_000_000


def test_a_malformed_form_is_refused(client: TestClient) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert client.post("/upload", content=b"--c\r\nbroken", headers=headers).status_code == 400


def test_a_file_is_sent(client: TestClient) -> None:
    response = client.get("/self")
    assert response.content == Path(__file__).read_bytes()
    assert response.headers["content-disposition"] == 'attachment; filename="check.py"'
    part = client.get("/self", headers={"range": "bytes=0-2"})
    assert (part.status_code, part.content) == (206, b'"""')
