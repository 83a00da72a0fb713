"""The page "Responses" of Starlette's documentation, `FileResponse` apart."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio.lowlevel
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.testclient import TestClient


class SortedJSON(JSONResponse):
    media_type = "application/vnd.own+json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, sort_keys=True, indent=1).encode()


async def numbers(least: int, most: int) -> AsyncIterator[str]:
    yield "<ul>"
    for number in range(least, most + 1):
        yield f"<li>{number}"
        await anyio.lowlevel.checkpoint()
    yield "</ul>"


def letters() -> Iterator[bytes]:
    yield b"a"
    yield b"b"


def ask(response: Any, **options: Any) -> Any:
    """Serve a response as an application of its own, and as what an endpoint returns."""

    def endpoint(request: Request) -> Any:
        return response

    direct = TestClient(response, follow_redirects=False).get("/", **options)
    routed = TestClient(Starlette(routes=[Route("/", endpoint)]), follow_redirects=False)
    if not isinstance(response, StreamingResponse):
        assert routed.get("/", **options).headers == direct.headers
    return direct


def test_the_base_class() -> None:
    response = ask(Response("text", 201, {"X-Own": "1"}, "text/plain"))
    assert (response.status_code, response.text) == (201, "text")
    assert dict(response.headers) == {
        "x-own": "1",
        "content-length": "4",
        "content-type": "text/plain; charset=utf-8",
    }


def test_media_types() -> None:
    assert ask(HTMLResponse("<p>ä")).headers["content-type"] == "text/html; charset=utf-8"
    assert ask(PlainTextResponse("ä")).content == "ä".encode()
    own = Response(b"\x00", media_type="image/png", headers={"content-length": "1"})
    assert ask(own).headers["content-type"] == "image/png"
    assert ask(Response(status_code=204)).content == b""


def test_json() -> None:
    response = ask(JSONResponse({"ä": [1, None, True]}))
    assert response.content == '{"ä":[1,null,true]}'.encode()
    assert response.headers["content-type"] == "application/json"
    sorted_response = ask(SortedJSON({"b": 1, "a": 2}))
    assert sorted_response.text == '{\n "a": 2,\n "b": 1\n}'
    assert sorted_response.headers["content-type"] == "application/vnd.own+json"


def test_redirects() -> None:
    response = ask(RedirectResponse("/new path?q=ä"))
    assert response.status_code == 307
    assert response.headers["location"] == "/new%20path?q=%C3%A4"
    assert ask(RedirectResponse("/x", status_code=303)).status_code == 303


def test_streams() -> None:
    stream = StreamingResponse(numbers(1, 3), media_type="text/html")
    response = ask(stream)
    assert response.text == "<ul><li>1<li>2<li>3</ul>"
    assert "content-length" not in response.headers
    assert ask(StreamingResponse(letters(), status_code=202)).content == b"ab"


def test_headers_can_be_changed() -> None:
    response = PlainTextResponse("x", headers={"A": "1", "B": "2"})
    response.headers["C"] = "3"
    response.headers.append("A", "4")
    del response.headers["b"]
    answer = ask(response)
    assert answer.headers.get_list("a") == ["1", "4"]
    assert "b" not in answer.headers
    assert response.raw_headers[-1] == (b"a", b"4")


def test_cookies() -> None:
    response = PlainTextResponse("x")
    response.set_cookie(
        "key",
        "a value",
        max_age=60,
        path="/p",
        domain="example.org",
        secure=True,
        httponly=True,
        samesite="strict",
    )
    response.delete_cookie("old")
    set_cookie, delete = [value for name, value in response.raw_headers if name == b"set-cookie"]
    assert sorted(set_cookie.decode().split("; ")) == [
        "Domain=example.org",
        "HttpOnly",
        "Max-Age=60",
        "Path=/p",
        "SameSite=strict",
        "Secure",
        'key="a value"',
    ]
    assert delete.startswith((b'old=""; ', b"old=; "))
    assert b"Max-Age=0" in delete


def test_a_background_task_runs_after_the_response() -> None:
    notes: list[str] = []
    response = JSONResponse({}, background=BackgroundTask(notes.append, "after"))
    assert TestClient(response).get("/").json() == {}
    assert notes == ["after"]


def test_a_head_request_has_the_headers_of_a_get() -> None:
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("four"))])
    response = TestClient(app).head("/")
    assert (response.headers["content-length"], response.status_code) == ("4", 200)


def test_a_value_of_the_wrong_type_is_refused() -> None:
    with pytest.raises((AttributeError, TypeError)):
        Response(object())
