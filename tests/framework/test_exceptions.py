"""The exception tree: what each carries and says."""

from __future__ import annotations

import json

import pytest

from framework.applications import App
from framework.exceptions import (
    ChannelsUnavailable,
    HTTPException,
    JSONDecodeError,
    NoMatchFound,
    RequestBodyTooLarge,
    WebSocketDisconnect,
    WebSocketException,
)
from framework.requests import Request
from framework.responses import Response
from framework.routing import Route
from framework.testclient import TestClient


@pytest.mark.parametrize(
    ("exc", "text", "representation"),
    [
        (
            HTTPException(404),
            "404: Not Found",
            "HTTPException(status_code=404, detail='Not Found')",
        ),
        (HTTPException(404, "Gone"), "404: Gone", "HTTPException(status_code=404, detail='Gone')"),
        (HTTPException(404, ""), "404: ", "HTTPException(status_code=404, detail='')"),
        (HTTPException(799), "799: ", "HTTPException(status_code=799, detail='')"),
        (
            WebSocketException(1008, "go"),
            "1008: go",
            "WebSocketException(code=1008, reason='go')",
        ),
        (WebSocketException(1008), "1008: ", "WebSocketException(code=1008, reason='')"),
    ],
)
def test_an_exception_says_what_it_is(exc: Exception, text: str, representation: str) -> None:
    assert str(exc) == text
    assert repr(exc) == representation


def test_a_subclass_shows_its_own_name() -> None:
    class Teapot(HTTPException):
        pass

    assert repr(Teapot(418)) == 'Teapot(status_code=418, detail="I\'m a Teapot")'


def test_headers_are_kept() -> None:
    assert HTTPException(401, headers={"WWW-Authenticate": "Basic"}).headers == {
        "WWW-Authenticate": "Basic"
    }
    assert HTTPException(401).headers is None


def test_bad_json_is_a_400_and_a_json_error_at_once() -> None:
    exc = JSONDecodeError("Expecting value", 7, " at character 7")
    assert isinstance(exc, HTTPException)
    assert isinstance(exc, json.JSONDecodeError)
    assert isinstance(exc, ValueError)
    assert (exc.status_code, exc.pos, exc.msg, exc.doc) == (400, 7, "Expecting value", "")
    assert exc.detail == "The request body is not valid JSON: Expecting value at character 7."


def test_a_body_that_is_too_large_is_a_413_that_ends_the_connection() -> None:
    exc = RequestBodyTooLarge(10)
    assert (exc.status_code, exc.detail, exc.max_body_size) == (413, "Content Too Large", 10)
    assert exc.headers == {"Connection": "close"}


def test_a_disconnect_has_a_code_and_a_reason() -> None:
    assert (WebSocketDisconnect().code, WebSocketDisconnect().reason) == (1000, "")
    assert (WebSocketDisconnect(1001, "bye").code, WebSocketDisconnect(1001, "bye").reason) == (
        1001,
        "bye",
    )


def test_a_name_without_a_route_is_named_with_its_parameters() -> None:
    text = str(NoMatchFound("user", {"id": 1, "page": 2}))
    assert text == 'No route exists for name "user" and params "id, page".'


def test_an_event_that_cannot_be_published_is_a_503_with_the_time_to_come_back() -> None:
    async def publish(request: Request) -> Response:
        raise ChannelsUnavailable("Redis at 10.0.0.7 did not take the event")

    response = TestClient(App(routes=[Route("/", publish)])).get("/")

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert "Redis" not in response.text
    assert str(ChannelsUnavailable("why")) == "why"
