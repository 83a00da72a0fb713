"""What the core suite measures with: right answers only, every request anew."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from load.bench.core import memory
from load.bench.core.calls import Program, measure_calls
from load.bench.core.cases.forms import build_app, build_upload
from load.bench.core.exchange import (
    Client,
    Exchange,
    Handshake,
    Request,
    measure_request,
    measure_socket,
    split,
)
from load.bench.core.kit import Kit
from load.bench.measurements import Batches

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The bench runs on asyncio."""
    return "asyncio"


class Answer:
    """An application that always answers the same."""

    def __init__(self, body: bytes = b"right", *, status: int = 200, more: bool = False) -> None:
        self.body = body
        self.status = status
        self.more = more
        self.scopes: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        scope["headers"].append((b"x", b"y"))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": self.body, "more_body": self.more})


@pytest.mark.parametrize(
    ("app", "fault"),
    [
        (Answer(status=500), "GET /: status 500 instead of 200"),
        (Answer(b"wrong"), "body b'wrong' instead of b'right'"),
        (Answer(more=True), "not complete"),
    ],
)
async def test_a_wrong_answer_is_never_measured(app: Answer, fault: str) -> None:
    with pytest.raises(RuntimeError, match=fault):
        await measure_request(app, Request(), b"right")


async def test_a_right_answer_is_measured() -> None:
    assert await (await measure_request(Answer(), Request(), b"right")).run(0.0001) > 0


async def test_a_check_of_ones_own_may_refuse_the_answer() -> None:
    with pytest.raises(RuntimeError, match="too short"):
        await measure_request(Answer(), Request(), lambda answer: "too short")


async def test_each_request_has_a_scope_and_a_body_of_its_own() -> None:
    app = Answer()
    exchange = Exchange(app, Request())
    await exchange.time(3)
    assert len({id(scope) for scope in app.scopes}) == 3
    assert len({len(scope["headers"]) for scope in app.scopes}) == 1


async def test_a_client_says_all_and_then_stays_connected() -> None:
    client = Client(Request("/", "POST", body=(b"a", b"b")).list_messages())
    assert [await client.receive() for _ in range(2)] == [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
    ]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(client.receive(), 0.01)


async def test_a_socket_that_sends_something_else_is_never_measured() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.close"})

    with pytest.raises(RuntimeError, match=r"\['websocket.close'\] instead of"):
        await measure_socket(refuse, Handshake("/"), ["websocket.accept"])


async def test_a_call_that_returns_something_else_is_never_measured() -> None:
    with pytest.raises(RuntimeError, match="3 instead of 4"):
        await measure_calls(len, lambda: "abc", 4)
    assert await (await measure_calls(len, lambda: "abc", 3)).run(0.0001) > 0


async def test_a_program_prints_its_figure_or_says_why_not() -> None:
    assert await Program("-c", "print(1.5)").run(1.0) == 1.5
    with pytest.raises(RuntimeError, match="no figure today"):
        await Program("-c", "raise SystemExit('no figure today')").run(1.0)


@pytest.mark.parametrize("subject", ["slipway", "starlette"])
async def test_the_growth_of_memory_is_that_of_a_right_upload(subject: str) -> None:
    async with AsyncExitStack() as stack:
        app = build_app(Kit(subject, stack))
        assert await memory.upload(app, 2) >= 0
    with pytest.raises(RuntimeError, match="answer b'right' to an upload of 2 MB"):
        await memory.upload(Answer(), 2)


def test_a_form_announces_the_length_that_it_has() -> None:
    request = build_upload(2)
    assert dict(request.headers)[b"content-length"] == b"%d" % sum(map(len, request.body))
    assert sum(map(len, request.body)) > 2_000_000


def test_a_body_comes_in_pieces_as_from_a_server() -> None:
    pieces = split(b"x" * 150_000)
    assert [len(piece) for piece in pieces] == [65_536, 65_536, 18_928]


async def test_what_takes_long_is_not_repeated_while_warming_up() -> None:
    numbers: list[int] = []

    async def time(number: int) -> int:
        numbers.append(number)
        return number * 10_000_000

    batches = Batches(time, least=1)
    await batches.warm_up(0.05)
    assert (numbers, batches.us_estimate) == ([1, 2, 2], 10_000)
