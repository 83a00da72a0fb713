"""`ETagMiddleware`: tags, conditions, and what it leaves alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.etag import ETagMiddleware
from framework.middleware.sessions import SessionMiddleware
from framework.requests import Request
from framework.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from framework.routing import Route
from framework.types import ASGIApp, Message, Receive, Scope, Send
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

HELLO = PlainTextResponse("hello")
DATE = "Mon, 05 Jan 2026 10:00:00 GMT"
LATER = "Mon, 05 Jan 2026 10:00:01 GMT"
EARLIER = "Mon, 05 Jan 2026 09:59:59 GMT"


async def get(
    app: ASGIApp, *headers: tuple[str, str], method: str = "GET", **options: Any
) -> Channel:
    """Send a request through the middleware."""
    return await call(ETagMiddleware(app, **options), build_scope("/", method, *headers))


async def find_tag(app: ASGIApp) -> str:
    """Return the tag of a response."""
    return (await get(app)).headers[b"etag"].decode()


async def test_a_body_gets_a_weak_tag_that_depends_on_it_alone() -> None:
    tag = await find_tag(HELLO)
    assert tag.startswith('W/"')
    assert len(tag) == len('W/""') + 16
    assert tag == await find_tag(PlainTextResponse("hello", headers={"x-other": "1"}))
    assert tag != await find_tag(PlainTextResponse("hullo"))
    assert await find_tag(PlainTextResponse(memoryview(b"hello"))) == tag


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ["{tag}", '"other", {tag}', "{strong}", "*"])
async def test_what_the_client_has_is_a_304(method: str, form: str) -> None:
    tag = await find_tag(HELLO)
    condition = form.format(tag=tag, strong=tag.removeprefix("W/"))
    channel = await get(HELLO, ("if-none-match", condition), method=method)
    assert (channel.status, channel.body) == (304, b"")
    assert channel.headers == {b"etag": tag.encode()}
    assert len(channel.messages) == 2


async def test_several_fields_are_one_list() -> None:
    tag = await find_tag(HELLO)
    channel = await get(HELLO, ("if-none-match", '"a"'), ("if-none-match", tag))
    assert channel.status == 304


async def test_what_the_client_has_not_is_sent() -> None:
    channel = await get(HELLO, ("if-none-match", '"other"'))
    assert (channel.status, channel.body) == (200, b"hello")
    assert channel.headers[b"content-length"] == b"5"


async def test_a_304_keeps_what_is_not_about_the_content() -> None:
    headers = {
        "cache-control": "max-age=60",
        "content-location": "/x",
        "date": DATE,
        "expires": LATER,
        "vary": "Cookie",
        "set-cookie": "a=b",
        "x-request-id": "7",
        "content-language": "en",
        "content-encoding": "br",
        "last-modified": DATE,
    }
    channel = await get(PlainTextResponse("x", headers=headers), ("if-none-match", "*"))
    assert channel.status == 304
    gone = {"content-language", "content-encoding"}
    expected = {
        name.encode(): value.encode() for name, value in headers.items() if name not in gone
    }
    assert {**channel.headers, b"etag": b""} == {**expected, b"etag": b""}


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([("if-modified-since", DATE)], 304),
        ([("if-modified-since", LATER)], 304),
        ([("if-modified-since", EARLIER)], 200),
        ([("if-modified-since", "no date")], 200),
        ([("if-modified-since", DATE), ("if-none-match", '"other"')], 200),
    ],
)
@pytest.mark.parametrize("kind", ["whole", "stream"])
async def test_dates_count_where_the_response_has_one(
    kind: str, conditions: list[tuple[str, str]], status: int
) -> None:
    headers = {"last-modified": DATE}
    app = PlainTextResponse("x", headers=headers)
    if kind == "stream":
        app = StreamingResponse(iter(["x"]), headers=headers)  # type: ignore[assignment]
    assert (await get(app, *conditions)).status == status


async def test_a_date_without_last_modified_counts_for_nothing() -> None:
    assert (await get(HELLO, ("if-modified-since", LATER))).status == 200


@pytest.mark.parametrize(
    ("condition", "status"), [('"mine"', 304), ('W/"mine"', 304), ('"x"', 200)]
)
async def test_a_tag_of_the_response_stays(condition: str, status: int) -> None:
    app = PlainTextResponse("x", headers={"etag": '"mine"'})
    channel = await get(app, ("if-none-match", condition))
    assert channel.status == status
    assert channel.headers[b"etag"] == b'"mine"'


async def test_a_file_is_not_sent_to_who_has_it() -> None:
    app = FileResponse(Path(__file__))
    etag = (await get(app)).headers[b"etag"].decode()
    channel = await get(app, ("if-none-match", etag))
    assert (channel.status, channel.body) == (304, b"")
    assert len(channel.messages) == 2


async def stream_numbers() -> AsyncIterator[str]:
    for number in range(3):
        yield str(number)


async def send_stream(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a stream of unknown length."""
    await StreamingResponse(stream_numbers())(scope, receive, send)


async def send_in_pieces(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a body of a known length in two pieces."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})


@pytest.mark.parametrize(
    ("app", "method"),
    [
        (send_stream, "GET"),
        (send_in_pieces, "GET"),
        (HELLO, "POST"),
        (PlainTextResponse("x", status_code=404), "GET"),
        (PlainTextResponse("x", status_code=201), "GET"),
        (PlainTextResponse("x", headers={"cache-control": "private, No-Store"}), "GET"),
        (PlainTextResponse("x" * 101), "GET"),
        (PlainTextResponse("x", headers={"content-length": "5"}), "HEAD"),
        (PlainTextResponse("x", headers={"content-length": "9" * 5000}), "GET"),
        (PlainTextResponse("x", headers={"content-length": "-1"}), "GET"),
    ],
)
async def test_what_cannot_be_tagged_passes_as_it_is(app: ASGIApp, method: str) -> None:
    middleware = ETagMiddleware(app, max_body_size=100)
    channel = await call(middleware, build_scope("/", method, ("if-none-match", "*")))
    assert channel.status in (200, 201, 404)
    assert b"etag" not in channel.headers
    assert channel.body
    assert not channel.messages[-1].get("more_body", False)


async def test_a_stream_starts_before_its_first_chunk() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        seen.append("started")
        await send({"type": "http.response.body"})

    async def send(message: Message) -> None:
        seen.append(message["type"])

    await ETagMiddleware(app)(build_scope(), Channel().receive, send)
    assert seen == ["http.response.start", "started", "http.response.body"]


@pytest.mark.parametrize(
    "then", [{"type": "http.response.pathsend", "path": "/x"}, {"type": "http.response.debug"}]
)
async def test_a_start_is_sent_before_other_messages(then: Message) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(then)

    channel = await call(ETagMiddleware(app), build_scope())
    assert [message["type"] for message in channel.messages][1:] == [then["type"]]


async def test_an_application_that_sends_no_body_is_not_covered_up() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    channel = await call(ETagMiddleware(app), build_scope())
    assert [message["type"] for message in channel.messages] == ["http.response.start"]


def test_a_session_is_written_with_a_304(client_factory: ClientFactory) -> None:
    async def visit(request: Request[Any]) -> Response:
        request.session["visits"] = request.session.get("visits", 0) + 1
        return PlainTextResponse("page")

    app = App(
        routes=[Route("/", visit)],
        middleware=[
            Middleware(ETagMiddleware),
            Middleware(SessionMiddleware, secret_key="a key of enough bytes"),
        ],
    )
    client = client_factory(app, base_url="https://testserver")
    tag = client.get("/").headers["etag"]
    response = client.get("/", headers={"if-none-match": tag})
    assert response.status_code == 304
    assert "set-cookie" in response.headers


def test_a_negative_size_is_refused() -> None:
    with pytest.raises(ValueError, match="max_body_size=-1"):
        ETagMiddleware(HELLO, max_body_size=-1)
