"""Responses: bytes on the wire, headers that cannot be split, streams that end.

What they have in common with Starlette is compared in tests/compat; here is what is our own.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import given, strategies as st

from framework.background import BackgroundTask
from framework.exceptions import ClientDisconnect
from framework.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from framework.types import Message
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

LINE_ENDS = ["a\r\nb: c", "a\nb", "a\rb", "a\x00b", "\n", "a\r\n"]


@pytest.mark.parametrize("value", LINE_ENDS)
def test_a_line_end_cannot_get_into_a_header(value: str) -> None:
    with pytest.raises(ValueError, match="header value"):
        Response(headers={"x-a": value})
    response = Response()
    with pytest.raises(ValueError, match="header value"):
        response.headers["x-a"] = value
    with pytest.raises(ValueError, match="header value"):
        response.headers.append("x-a", value)
    with pytest.raises(ValueError, match="header value"):
        response.headers.setdefault("x-a", value)
    with pytest.raises(ValueError, match="header value"):
        response.headers.update({"x-a": value})
    assert b"x-a" not in dict(response.raw_headers)


@pytest.mark.parametrize("name", ["x a", "x:a", "x\r\na", "", "x\x00", "ä"])
def test_a_header_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="header name"):
        Response(headers={name: "a"})
    response = Response()
    with pytest.raises(ValueError, match="header name"):
        response.headers[name] = "a"


@pytest.mark.parametrize("media_type", ["text/plain\r\nx: y", "a/b\n"])
def test_a_line_end_cannot_get_into_a_content_type(media_type: str) -> None:
    with pytest.raises(ValueError, match="header value"):
        Response("x", media_type=media_type)


@pytest.mark.parametrize("value", ["/a\r\nx: y", "/a\nb", "/\x00"])
def test_a_line_end_cannot_get_into_a_location(value: str) -> None:
    location = dict(RedirectResponse(value).raw_headers)[b"location"]
    assert not set(location) & {0, 10, 13}


@given(st.text(max_size=40))
def test_a_location_is_ascii_without_blanks(text: str) -> None:
    location = dict(RedirectResponse("/" + text.encode("utf-8", "ignore").decode()).raw_headers)
    assert all(0x20 < byte < 0x7F for byte in location[b"location"])


@given(name=st.text(max_size=10), value=st.text(max_size=40), path=st.text(max_size=10))
def test_a_cookie_is_refused_or_one_line_of_ascii(name: str, value: str, path: str) -> None:
    response = Response()
    try:
        response.set_cookie(name, value, path=path)
    except ValueError:
        return
    field = dict(response.raw_headers)[b"set-cookie"].decode("latin-1")
    assert all(0x20 <= ord(character) != 0x7F for character in field)
    written, _, rest = field.partition("=")
    assert written == name
    # Nothing in the value ends it early: the attributes that follow are ours alone.
    assert rest.split("; ", 1)[1] == (f"Path={path}; SameSite=lax" if path else "SameSite=lax")


def test_a_partitioned_cookie_needs_no_newer_python() -> None:
    response = Response()
    response.set_cookie("a", "1", secure=True, partitioned=True)
    field = dict(response.raw_headers)[b"set-cookie"]
    assert field == b"a=1; Partitioned; Path=/; SameSite=lax; Secure"


def test_the_expiry_of_a_cookie_is_written_in_gmt() -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    response = Response()
    response.set_cookie("a", "1", expires=dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=zone))
    assert b"expires=Wed, 02 Jan 2030 01:04:05 GMT" in dict(response.raw_headers)[b"set-cookie"]


def test_a_subclass_may_set_its_headers_before_its_status() -> None:
    class Late(Response):
        def __init__(self) -> None:
            self.media_type = "text/csv"
            self.init_headers({"x-a": "b"})

    assert Late().headers.items() == [("x-a", "b"), ("content-type", "text/csv; charset=utf-8")]


async def test_responses_do_not_share_their_headers() -> None:
    first, second = PlainTextResponse("a"), PlainTextResponse("b")
    first.headers["x-own"] = "1"
    assert "x-own" not in second.headers
    assert b"x-own" not in dict(PlainTextResponse("c").raw_headers)


async def test_a_response_can_be_sent_again_and_again() -> None:
    response = HTMLResponse("<p>")
    first = await call(response, build_scope())
    second = await call(response, build_scope())
    assert first.messages == second.messages


async def test_the_background_task_runs_after_the_last_byte() -> None:
    channel = Channel()
    seen: list[int] = []
    task = BackgroundTask(lambda: seen.append(len(channel.messages)))
    await Response("x", background=task)(build_scope(), channel.receive, channel.send)
    assert seen == [2]


async def test_a_response_to_a_handshake_denies_it() -> None:
    channel = Channel()
    await Response("no", 403)(
        build_scope(type="websocket", extensions={"websocket.http.response": {}}),
        channel.receive,
        channel.send,
    )
    assert [message["type"] for message in channel.messages] == [
        "websocket.http.response.start",
        "websocket.http.response.body",
    ]


class Colour(enum.StrEnum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


class Whole(int):
    pass


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Struct(msgspec.Struct):
    name: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC), '"2030-01-02T03:04:05Z"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.10"), '"1.10"'),
        (Colour.RED, '"red"'),
        (Number.ONE, "1"),
        (Text("t"), '"t"'),
        (Whole(7), "7"),
        ({Text("k"): [Whole(1)]}, '{"k":[1]}'),
        (Point(1, 2.5), '{"x":1,"y":2.5}'),
        (Struct("n"), '{"name":"n"}'),
        (frozenset({1}), "[1]"),
        ({1: "a"}, '{"1":"a"}'),
        ([math.nan, math.inf], "[null,null]"),
        ("</script>\u2028", '"</script>\u2028"'),
        (2**64, "18446744073709551616"),
        (2**200, str(2**200)),
    ],
)
def test_values_of_every_day_become_json(value: Any, text: str) -> None:
    assert bytes(JSONResponse(value).body).decode() == text


@pytest.mark.parametrize("value", [b"{}", bytearray(b"{}"), memoryview(b"{}")])
def test_bytes_are_not_encoded_once_more(value: Any) -> None:
    with pytest.raises(TypeError, match=r"Object of type \w+ is not JSON serializable"):
        JSONResponse(value)


def test_what_is_no_json_is_named() -> None:
    with pytest.raises(TypeError, match="object is not JSON serializable"):
        JSONResponse({"a": object()})


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_values)
def test_json_says_what_the_standard_library_would_say(value: Any) -> None:
    body = bytes(JSONResponse(value).body)
    assert json.loads(body) == json.loads(json.dumps(value))


async def test_a_stream_of_text_is_encoded_in_the_charset_of_the_response() -> None:
    class Latin(StreamingResponse):
        charset = "latin-1"

    channel = await call(Latin(["é"], media_type="text/plain"), build_scope())
    assert channel.body == b"\xe9"
    assert channel.headers[b"content-type"] == b"text/plain; charset=latin-1"


class Endless:
    """An endless stream that notes its end."""

    def __init__(self) -> None:
        self.closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"."
                await anyio.lowlevel.checkpoint()
        finally:
            self.closed = True

    def plain_chunks(self) -> Iterator[bytes]:
        try:
            while True:
                yield b"."
        finally:
            self.closed = True


@pytest.mark.parametrize("kind", ["chunks", "plain_chunks"])
async def test_a_stream_ends_when_the_client_leaves(kind: str) -> None:
    endless = Endless()
    channel = Channel()
    left = anyio.Event()

    async def receive() -> Message:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        channel.messages.append(message)
        if len(channel.messages) == 5:
            left.set()
        await anyio.lowlevel.checkpoint()

    with anyio.fail_after(5):
        await StreamingResponse(getattr(endless, kind)())(build_scope(), receive, send)
    assert endless.closed
    assert channel.messages[-1]["more_body"]


async def test_a_failing_send_means_that_the_client_left() -> None:
    endless = Endless()
    scope = build_scope(asgi={"version": "3.0", "spec_version": "2.4"})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("gone")

    with pytest.raises(ClientDisconnect):
        await StreamingResponse(endless.chunks())(scope, Channel().receive, send)
    assert endless.closed


@pytest.mark.parametrize("spec", ["2.0", "2.3", "2.4", "2.10", "3.0"])
async def test_every_version_of_the_protocol_gets_its_stream(spec: str) -> None:
    scope = build_scope(asgi={"version": "3.0", "spec_version": spec})
    with anyio.fail_after(5):
        channel = await call(StreamingResponse(["a", b"b"]), scope)
    assert channel.body == b"ab"
    assert not channel.messages[-1]["more_body"]


async def test_a_stream_that_fails_fails_bare_and_unfinished() -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise LookupError("in the middle")

    channel = Channel(stays=True)
    with anyio.fail_after(5), pytest.raises(LookupError, match="in the middle"):
        await StreamingResponse(failing())(build_scope(), channel.receive, channel.send)
    assert channel.messages[-1]["more_body"]
