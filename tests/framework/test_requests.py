"""`Request`: what it reads, when it reads it, and what it refuses.

What it has in common with Starlette is compared in tests/compat; here is what is our own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from framework import _defaults, requests
from framework.exceptions import HTTPException, MissingMiddleware
from framework.requests import (
    ClientDisconnect,
    HTTPConnection,
    Request,
    empty_receive,
)
from framework.types import Message
from tests.framework.asgi import Channel, build_scope

pytestmark = pytest.mark.anyio


def build_request(*chunks: bytes, is_complete: bool = True) -> Request[Any]:
    channel = Channel(*chunks, is_complete=is_complete)
    return Request(build_scope("/", "POST"), channel.receive, channel.send)


def test_a_request_is_made_without_reading_anything() -> None:
    request: Request[Any] = Request({"type": "http"})
    assert vars(request).keys() <= {"scope", "_receive", "_send"}


def test_a_scope_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="'websocket' is no HTTP request"):
        Request({"type": "websocket"})
    with pytest.raises(ValueError, match="'lifespan' is no connection"):
        HTTPConnection({"type": "lifespan"})


def test_a_connection_is_a_view_of_its_scope_and_equals_only_itself() -> None:
    scope = build_scope("/path")
    first: HTTPConnection[Any] = HTTPConnection(scope)
    second: HTTPConnection[Any] = HTTPConnection(scope)
    assert isinstance(first, Mapping)
    assert first["path"] == "/path"
    assert set(first) == set(scope)
    assert len(first) == len(scope)
    assert first != second
    assert len({first, second}) == 2


@pytest.mark.parametrize("name", ["url", "base_url", "headers", "query_params", "cookies", "state"])
def test_what_is_parsed_is_parsed_once(name: str) -> None:
    request: Request[Any] = Request(build_scope("/", "GET", ("host", "example.org")))
    assert getattr(request, name) is getattr(request, name)


@pytest.mark.parametrize(
    ("name", "middleware"),
    [
        ("session", "SessionMiddleware"),
        ("auth", "AuthenticationMiddleware"),
        ("user", "AuthenticationMiddleware"),
    ],
)
def test_what_middleware_provides_names_the_middleware_that_lacks(
    name: str, middleware: str
) -> None:
    request: Request[Any] = Request(build_scope())
    with pytest.raises(MissingMiddleware, match=f"request.{name} needs {middleware}") as raised:
        getattr(request, name)
    assert isinstance(raised.value, AssertionError), "as in Starlette"
    request.scope[name] = {"here": 1}
    assert getattr(request, name) == {"here": 1}


def test_reading_a_session_tells_the_session() -> None:
    class Session(dict[str, Any]):
        accessed = False

        def mark_accessed(self) -> None:
            self.accessed = True

    session = Session()
    request: Request[Any] = Request(build_scope(session=session))
    assert request.session is session
    assert session.accessed


def test_the_state_of_the_request_is_the_state_of_the_scope() -> None:
    scope = build_scope(state={"from_lifespan": 1})
    request: Request[Any] = Request(scope)
    request.state.own = 2
    assert request.state.from_lifespan == 1
    assert scope["state"] == {"from_lifespan": 1, "own": 2}


def test_url_for_needs_something_to_ask() -> None:
    request: Request[Any] = Request(build_scope())
    with pytest.raises(RuntimeError, match=r"url_for\('home'\) works only below an App"):
        request.url_for("home")


async def test_the_body_can_be_read_again_and_streamed_afterwards() -> None:
    request = build_request(b"ab", b"", b"cd")
    assert await request.body() == b"abcd"
    assert await request.body() == b"abcd"
    assert [chunk async for chunk in request.stream()] == [b"abcd", b""]


async def test_a_stream_gives_chunks_as_they_come_and_keeps_nothing() -> None:
    request = build_request(b"ab", b"", b"cd")
    assert [chunk async for chunk in request.stream()] == [b"ab", b"cd", b""]
    with pytest.raises(RuntimeError, match="Stream consumed"):
        await request.body()


async def test_a_client_that_leaves_early_is_an_exception_of_its_own() -> None:
    request = build_request(b"ab", is_complete=False)
    with pytest.raises(ClientDisconnect) as caught:
        await request.body()
    assert caught.value.__context__ is None
    assert await request.is_disconnected()


async def test_a_request_without_receive_has_no_body() -> None:
    request: Request[Any] = Request(build_scope())
    with pytest.raises(RuntimeError, match="created without `receive`"):
        await request.body()
    with pytest.raises(RuntimeError, match="created without `receive`"):
        await empty_receive()


async def test_asking_for_a_disconnect_does_not_lose_the_body() -> None:
    request = build_request(b"ab", b"cd")
    assert not await request.is_disconnected()
    assert await request.body() == b"abcd"
    assert await request.is_disconnected()


async def test_a_disconnect_is_remembered() -> None:
    request = build_request()
    assert await request.is_disconnected()
    assert await request.is_disconnected()


async def test_a_whole_body_is_limited_even_when_nobody_set_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "MAX_BUFFERED_BODY_BYTES", 4)
    assert await build_request(b"ab", b"cd").body() == b"abcd"
    with pytest.raises(HTTPException) as caught:
        await build_request(b"ab", b"cde").body()
    assert caught.value.status_code == 413


async def test_a_stream_has_no_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "MAX_BUFFERED_BODY_BYTES", 4)
    chunks = [chunk async for chunk in build_request(b"abc", b"def").stream()]
    assert b"".join(chunks) == b"abcdef"


async def test_a_limit_that_was_set_takes_the_place_of_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(requests, "MAX_BUFFERED_BODY_BYTES", 4)
    request = build_request(b"ab", b"cde")
    request.scope[requests.MAX_BODY_SIZE_SCOPE_KEY] = 100
    assert await request.body() == b"abcde"


def test_the_default_limit_is_a_plain_number_of_bytes() -> None:
    assert _defaults.MAX_BUFFERED_BODY_BYTES == 32 * 1024 * 1024


BAD_JSON = {
    "nothing": b"",
    "open object": b"{",
    "open text": b'"a',
    "rest behind": b"{} x",
    "comma": b"[1,]",
    "not UTF-8": b"\xff",
    "not UTF-8 in a text": b'"\xff"',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b"NaN",
    "infinity": b"[-Infinity]",
    "number without end": b"1e999",
    "number of 5000 digits": b"1" * 5000,
    "lone surrogate": b'"\\ud800"',
    "deep array": b"[" * 200_000,
    "deep object": b'{"a":' * 200_000,
    "NaN before a deep array": b"[NaN," + b"[" * 200_000,
    "control character": b'"\x00"',
    "single quotes": b"{'a': 1}",
}


@pytest.mark.parametrize("name", BAD_JSON)
async def test_bad_json_is_the_fault_of_the_client(name: str) -> None:
    with pytest.raises(HTTPException) as caught:
        await build_request(BAD_JSON[name]).json()
    assert caught.value.status_code == 400
    assert isinstance(caught.value, ValueError)
    text = caught.value.detail
    prefix = "The request body is not valid JSON: "
    assert text.startswith(prefix)
    assert text.endswith(".")
    assert not text.removeprefix(prefix).startswith("jSON")
    assert len(text) < 200


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is empty"),
        (b"[-Infinity]", "it holds -Infinity"),
        (b"[NaN," + b"[" * 50_000, "it holds NaN"),
        (b'["\\ud800"]', "it holds a lone surrogate"),
        (b'"\xff"', "it is not UTF-8 at byte 1"),
        (b'"\xff' + b" " * _defaults.MAX_EXPLAINED_JSON_BYTES + b'"', "it is not UTF-8"),
        (b"[" * 200_000, "it is nested too deeply"),
        (b"1e999", "Number out of range"),
    ],
)
async def test_bad_json_is_explained(body: bytes, reason: str) -> None:
    with pytest.raises(HTTPException) as caught:
        await build_request(body).json()
    assert caught.value.detail == f"The request body is not valid JSON: {reason}."


async def test_json_that_was_bad_is_bad_again() -> None:
    request = build_request(b"{")
    for _ in range(2):
        with pytest.raises(HTTPException):
            await request.json()


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b" null ", None),
        (b"[1, 2.5, -3e2, true]", [1, 2.5, -300.0, True]),
        (b'{"a": {"b": "\\u00e9\\n"}}', {"a": {"b": "é\n"}}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"18446744073709551616", 2**64),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"[" * 100 + b"]" * 100, None),
    ],
)
async def test_good_json_becomes_a_value_once(body: bytes, value: Any) -> None:
    request = build_request(body)
    parsed = await request.json()
    assert value is None or parsed == value
    assert await request.json() is parsed


async def test_push_and_early_hints_are_sent_where_the_server_offers_them() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    offers: dict[str, Any] = {"http.response.push": {}, "http.response.early_hint": {}}
    scope = build_scope("/", "GET", ("accept", "a"), ("cookie", "secret"), extensions=offers)
    request: Request[Any] = Request(scope, empty_receive, send)
    await request.send_push_promise("/style.css")
    await request.send_early_hints("</a>; rel=preload", "</b>; rel=preload")
    assert sent == [
        {"type": "http.response.push", "path": "/style.css", "headers": [(b"accept", b"a")]},
        {
            "type": "http.response.early_hint",
            "links": [b"</a>; rel=preload", b"</b>; rel=preload"],
        },
    ]


async def test_push_and_early_hints_are_silent_elsewhere() -> None:
    request: Request[Any] = Request(build_scope())
    await request.send_push_promise("/style.css")
    await request.send_early_hints("</a>; rel=preload")


def test_a_cookie_without_a_name_is_no_cookie() -> None:
    fields = ("cookie", "a=1; __Host-b; =__Host-c=evil; =d; ;")
    request: Request[Any] = Request(build_scope("/", "GET", fields))
    assert request.cookies == {"a": "1"}


def test_many_cookies_are_read_in_linear_time() -> None:
    field = ";".join(f"n{number}=v" for number in range(50_000))
    request: Request[Any] = Request(build_scope("/", "GET", ("cookie", field)))
    assert len(request.cookies) == 50_000
