"""One connection as a server hands it over, its timing and its check.

As in the dispatch suite: a fresh scope is inside the clock, and what scopes take alone is taken off.
The clock is the CPU time of the whole process, because files and compression work in threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from load.bench.exchange import HEADERS, Recorder, send_nowhere
from load.bench.measurements import Batches

CHUNK_BYTES: Final = 65_536
"""Servers hand a body over in pieces of about this size."""

Field = tuple[bytes, bytes]
Check = Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sends; the chunks of a long body may be one object many times over."""

    path: str = "/"
    method: str = "GET"
    query: bytes = b""
    headers: tuple[Field, ...] = ()
    body: tuple[bytes, ...] = (b"",)

    def build_scope(self) -> dict[str, Any]:
        """Return the scope without what each request gets anew."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},  # what uvicorn offers
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": ("127.0.0.1", 51234),
            "scheme": "http",
            "method": self.method,
            "root_path": "",
            "path": self.path,
            "raw_path": self.path.encode("ascii"),
            "query_string": self.query,
        }

    def list_messages(self) -> list[dict[str, Any]]:
        """Return what `receive` gives before it waits."""
        last = len(self.body) - 1
        return [
            {"type": "http.request", "body": chunk, "more_body": place < last}
            for place, chunk in enumerate(self.body)
        ]


@dataclass(frozen=True, slots=True)
class Handshake:
    """A WebSocket: the client connects, sends its texts and leaves."""

    path: str = "/"
    texts: tuple[str, ...] = ()
    headers: tuple[Field, ...] = ()

    def build_scope(self) -> dict[str, Any]:
        """Return the scope without what each connection gets anew."""
        scope = Request(self.path).build_scope()
        del scope["method"]
        return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}

    def list_messages(self) -> list[dict[str, Any]]:
        """Return what `receive` gives before it waits."""
        texts = [{"type": "websocket.receive", "text": text} for text in self.texts]
        return [
            {"type": "websocket.connect"},
            *texts,
            {"type": "websocket.disconnect", "code": 1000},
        ]


class Client:
    """The client's side of one connection: says what it has to say and then stays connected."""

    __slots__ = ("messages",)

    def __init__(self, messages: Sequence[dict[str, Any]]) -> None:
        self.messages = iter(messages)

    async def receive(self) -> dict[str, Any]:
        """Return the next message; after the last one wait as for a client that keeps quiet."""
        for message in self.messages:
            return message
        await asyncio.get_running_loop().create_future()
        raise RuntimeError("nobody completes this future")


class SocketRecorder:
    """Takes the messages of one WebSocket."""

    __slots__ = ("messages",)

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        """Record one message."""
        self.messages.append(message)


class Exchange:
    """A request or a WebSocket, and the application that it goes to."""

    __slots__ = ("app", "headers", "messages", "template")

    def __init__(self, app: Any, client: Request | Handshake) -> None:
        self.app = app
        self.template = client.build_scope()
        self.headers = [*HEADERS, *client.headers]
        self.messages = client.list_messages()

    async def time(self, number: int) -> int:
        """Return the nanoseconds that `number` exchanges take, their fresh scopes taken off."""
        app, template, headers, messages = self.app, self.template, self.headers, self.messages
        begin = time.process_time_ns()
        for _ in range(number):
            _ = {**template, "headers": [*headers], "state": {}}, Client(messages).receive
        middle = time.process_time_ns()
        for _ in range(number):
            scope = {**template, "headers": [*headers], "state": {}}
            await app(scope, Client(messages).receive, send_nowhere)
        return time.process_time_ns() - middle - (middle - begin)

    async def run_once(self, send: Any) -> None:
        """Run it once, outside the clock."""
        scope = {**self.template, "headers": [*self.headers], "state": {}}
        await self.app(scope, Client(self.messages).receive, send)


async def measure_request(
    app: Any, request: Request, body: bytes | Check, *, status: int = 200, is_long: bool = False
) -> Batches:
    """Check the answer to a request, then return its measurement.

    Args:
        app: the application.
        request: what it gets.
        body: the body of the right answer, or what returns the fault of an answer.
        status: the status of the right answer.
        is_long: one request takes a second or so: it is not repeated in a batch.

    Raises:
        RuntimeError: The answer is wrong.
    """
    exchange, recorder = Exchange(app, request), Recorder()
    await exchange.run_once(recorder.send)
    fault = find_fault(recorder, body, status)
    if fault:
        raise RuntimeError(f"{request.method} {request.path}: {fault}")
    return await _warm_up(exchange, is_long=is_long)


async def measure_socket(app: Any, handshake: Handshake, expected: list[Any]) -> Batches:
    """Check what the application sends to a WebSocket (its types or texts); return its measurement.

    Raises:
        RuntimeError: It sends something else.
    """
    exchange, recorder = Exchange(app, handshake), SocketRecorder()
    await exchange.run_once(recorder.send)
    sent = [message.get("text", message["type"]) for message in recorder.messages]
    if sent != expected:
        raise RuntimeError(f"WebSocket {handshake.path}: {sent!r} instead of {expected!r}")
    return await _warm_up(exchange, is_long=False)


async def _warm_up(exchange: Exchange, *, is_long: bool) -> Batches:
    batches = Batches(exchange.time, least=1)
    if is_long:
        batches.us_estimate = 1e9
    else:
        await batches.warm_up()
    return batches


def find_fault(answer: Recorder, body: bytes | Check, status: int) -> str | None:
    """Return what is wrong with an answer."""
    if answer.status != status:
        return f"status {answer.status!r} instead of {status!r}"
    if not answer.complete:
        return "the response is not complete"
    if int(answer.headers.get("content-length", len(answer.body))) != len(answer.body):
        return f"content-length {answer.headers['content-length']!r} of {len(answer.body)} bytes"
    if not isinstance(body, bytes):
        return body(answer)
    if answer.body != body:
        return f"body {answer.body[:80]!r} instead of {body[:80]!r}"
    return None


def split(body: bytes) -> tuple[bytes, ...]:
    """Cut a body into the pieces in which a server hands it over."""
    return tuple(body[at : at + CHUNK_BYTES] for at in range(0, len(body), CHUNK_BYTES))


def join_lines(lines: Iterable[bytes]) -> bytes:
    """Return the lines as they stand in a message, each with its CRLF."""
    return b"".join(line + b"\r\n" for line in lines)
