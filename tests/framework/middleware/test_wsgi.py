"""WSGI applications (PEP 3333) below ASGI: environment, answers, errors, and their end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import anyio
import pytest

from framework.applications import App
from framework.exceptions import ClientDisconnect, HTTPException
from framework.middleware import wsgi
from framework.middleware.wsgi import WSGIMiddleware
from framework.routing import Mount
from framework.types import Message
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call
from tests.framework.handlers import answer_problem

pytestmark = pytest.mark.anyio

Start = Callable[..., Callable[[bytes], None]]
Environ = dict[str, Any]
TEXT = [("Content-Type", "text/plain")]


def echo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start_response("200 OK", [*TEXT, ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [environ["REQUEST_METHOD"].encode(), b" ", body]


class Chunks:
    """An iterable that notes that it was closed."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks
        self.closed_in: threading.Thread | None = None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        self.closed_in = threading.current_thread()


async def test_a_request_is_answered() -> None:
    channel = await call(WSGIMiddleware(echo), build_scope("/", "POST"), b"one ", b"two")
    assert (channel.status, channel.body) == (200, b"POST one two")
    assert channel.headers[b"content-type"] == b"text/plain"
    assert channel.headers[b"x-length"] == b"7"


async def test_what_is_sent_is_right_by_the_rules_of_wsgi() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        environ["wsgi.input"].read(3)
        environ["wsgi.errors"].write("")
        start_response("200 OK", TEXT)
        return [b"valid"]

    scope = build_scope("/a b/ü", "POST", ("content-length", "4"), ("content-type", "text/plain"))
    checked: Any = validator
    channel = await call(WSGIMiddleware(checked(app)), scope, b"body")
    assert channel.body == b"valid"


async def test_chunks_are_sent_as_they_come_and_the_start_with_the_first() -> None:
    seen: list[int] = []

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        for chunk in (b"", b"one", b"two"):
            seen.append(len(channel.messages))
            yield chunk

    channel = Channel(b"", stays=True)
    await WSGIMiddleware(app)(build_scope(), channel.receive, channel.send)
    assert seen == [0, 0, 2]
    assert [message.get("body") for message in channel.messages] == [None, b"one", b"two", b""]
    assert [message.get("more_body") for message in channel.messages[1:]] == [True, True, False]


async def test_no_chunk_is_made_before_the_last_is_sent() -> None:
    """Nothing piles up before a client that is slow."""
    made = 0

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        nonlocal made
        start_response("200 OK", TEXT)
        for _ in range(5):
            made += 1
            yield b"chunk"

    async def send(message: Message) -> None:
        seen = made
        await anyio.sleep(0.01)
        assert made == seen

    await WSGIMiddleware(app)(build_scope(), Channel(b"", stays=True).receive, send)
    assert made == 5


async def test_write_sends_at_once() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        write = start_response("200 OK", TEXT)
        write(b"one ")
        assert channel.messages[-1]["body"] == b"one "
        return [b"two"]

    channel = Channel(b"", stays=True)
    await WSGIMiddleware(app)(build_scope(), channel.receive, channel.send)
    assert channel.body == b"one two"


async def test_an_answer_without_a_body_is_complete() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("204 No Content", [])
        return []

    channel = await call(WSGIMiddleware(app), build_scope())
    assert channel.status == 204
    assert channel.messages[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_the_iterable_is_closed_in_its_thread() -> None:
    chunks = Chunks([b"body"])

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        return chunks

    assert (await call(WSGIMiddleware(app), build_scope())).body == b"body"
    assert chunks.closed_in not in (None, threading.main_thread())


async def test_the_iterable_is_closed_when_it_fails() -> None:
    def broken() -> Iterator[bytes]:
        yield b"begun"
        raise LookupError("broken")

    chunks = Chunks(broken())

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        return chunks

    channel = Channel(b"", stays=True)
    with pytest.raises(LookupError, match="broken"):
        await WSGIMiddleware(app)(build_scope(), channel.receive, channel.send)
    assert channel.messages[-1]["more_body"] is True
    assert chunks.closed_in is not None


async def test_the_iterable_is_closed_when_the_client_goes() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            time.sleep(0.005)
            yield b"more"

    chunks = Chunks(endless())

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        return chunks

    async def send(message: Message) -> None:
        """Never wait, as a server with room in its buffers."""

    receive = Channel(b"").receive  # the client is gone after the body
    await WSGIMiddleware(app)(build_scope(), receive, send)
    assert chunks.closed_in is not None


async def test_a_body_that_is_cut_off_does_not_reach_the_application() -> None:
    called = False

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        nonlocal called
        called = True
        return []

    channel = Channel(b"half", is_complete=False)
    with pytest.raises(ClientDisconnect):
        await WSGIMiddleware(app)(build_scope("/", "POST"), channel.receive, channel.send)
    assert not called


def answer_error(environ: Environ, start_response: Start) -> Iterable[bytes]:
    try:
        raise LookupError("told to the server")
    except LookupError:
        start_response("200 OK", [("X-First", "1")])
        start_response("500 Oops", TEXT, sys.exc_info())
    return [b"error page"]


async def test_an_error_that_the_application_has_answered_is_raised_at_the_end() -> None:
    channel = Channel(b"", stays=True)
    with pytest.raises(LookupError, match="told to the server"):
        await WSGIMiddleware(answer_error)(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.body) == (500, b"error page")
    assert channel.headers == {b"content-type": b"text/plain"}
    assert channel.messages[-1]["more_body"] is False


async def test_an_error_page_that_comes_too_late_is_the_error() -> None:
    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", TEXT)
        yield b"begun"
        try:
            raise LookupError("too late")
        except LookupError:
            start_response("500 Oops", TEXT, sys.exc_info())
        yield b"never"

    channel = Channel(b"", stays=True)
    with pytest.raises(LookupError, match="too late"):
        await WSGIMiddleware(app)(build_scope(), channel.receive, channel.send)
    assert (channel.status, channel.body) == (200, b"begun")


def start_twice(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", TEXT)
    start_response("201 Created", TEXT)
    return []


def start_never(environ: Environ, start_response: Start) -> Iterable[bytes]:
    return [b"body"]


def start_badly(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("OK", TEXT)
    return []


def split_fields(environ: Environ, start_response: Start) -> Iterable[bytes]:
    start_response("200 OK", [("X-A", "a\r\nSet-Cookie: b=c")])
    return []


def send_text(environ: Environ, start_response: Start) -> Any:
    start_response("200 OK", TEXT)
    return ["text"]


@pytest.mark.parametrize(
    ("app", "error", "complaint"),
    [
        (start_twice, RuntimeError, "a second time without exc_info"),
        (start_never, RuntimeError, "has not called start_response"),
        (start_badly, ValueError, "status='OK' must be a number and a phrase"),
        (split_fields, ValueError, "holds a control character"),
        (send_text, TypeError, "returned str: return bytes"),
    ],
)
async def test_an_application_that_breaks_the_rules_fails_before_it_answers(
    app: Any, error: type[Exception], complaint: str
) -> None:
    channel = Channel(b"", stays=True)
    with pytest.raises(error, match=complaint):
        await WSGIMiddleware(app)(build_scope(), channel.receive, channel.send)
    assert channel.messages == []


def name_input(environ: Environ, start_response: Start) -> Iterable[bytes]:
    file = environ["wsgi.input"]
    start_response("200 OK", TEXT)
    return [f"{len(file.read())} {'disk' if file._rolled else 'memory'}".encode()]


async def test_a_large_body_is_on_disk_and_a_small_one_is_not() -> None:
    app = WSGIMiddleware(name_input)
    assert (await call(app, build_scope("/", "POST"), b"x" * 1000)).body == b"1000 memory"
    chunks = [b"x" * 100_000] * 20
    assert (await call(app, build_scope("/", "POST"), *chunks)).body == b"2000000 disk"


async def test_a_body_has_a_limit_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wsgi, "MAX_WSGI_BODY_BYTES", 10)
    channel = await call(WSGIMiddleware(echo), build_scope("/", "POST"), b"x" * 6, b"x" * 6)
    assert channel.status == 413
    assert channel.headers[b"connection"] == b"close"


@pytest.mark.parametrize("max_body_size", [None, 20])
def test_a_limit_of_the_application_replaces_it(
    client_factory: ClientFactory, monkeypatch: pytest.MonkeyPatch, max_body_size: int | None
) -> None:
    monkeypatch.setattr(wsgi, "MAX_WSGI_BODY_BYTES", 10)
    app = App(
        routes=[Mount("/wsgi", WSGIMiddleware(echo))],
        max_body_size=max_body_size,
        exception_handlers={HTTPException: answer_problem},
    )
    with client_factory(app) as client:
        assert client.post("/wsgi/", content=b"x" * 10).text == "POST " + "x" * 10
        response = client.post("/wsgi/", content=b"x" * 15)
        assert response.status_code == (413 if max_body_size is None else 200)
        response = client.post("/wsgi/", content=b"x" * 21)
        assert (response.status_code, response.json()) == (413, {"status": 413})


async def test_a_websocket_is_refused() -> None:
    channel = Channel()
    scope = build_scope(type="websocket")
    await WSGIMiddleware(echo)(scope, channel.receive, channel.send)
    assert [message["type"] for message in channel.messages] == ["websocket.close"]


async def test_there_is_no_lifespan() -> None:
    channel = Channel()
    with pytest.raises(RuntimeError, match="has no 'lifespan': it serves HTTP only"):
        await WSGIMiddleware(echo)({"type": "lifespan"}, channel.receive, channel.send)
