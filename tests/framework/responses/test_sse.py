"""Server-sent events: what is on the wire, and when it ends."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from hypothesis import given, strategies as st

from framework.background import BackgroundTask
from framework.responses import EventSourceResponse, ServerSentEvent
from framework.types import Message
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

variable: ContextVar[str] = ContextVar("variable", default="unset")


def parse(stream: str) -> list[dict[str, str]]:
    """Read an event stream as a browser does (HTML standard, section 9.2.6)."""
    events: list[dict[str, str]] = []
    fields: dict[str, str] = {}
    data: list[str] = []
    for line in re.split(r"\r\n|\r|\n", stream):
        if not line:
            if data:
                events.append({**fields, "data": "\n".join(data)})
            fields, data = {}, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            data.append(value)
        elif name:
            fields[name] = value
    return events


WIRE = [
    (ServerSentEvent(data="hello"), b"data: hello\n\n"),
    (ServerSentEvent(data="a\nb\r\nc\rd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
    (ServerSentEvent(data=""), b"data: \n\n"),
    (ServerSentEvent(data="a\u2028b\x0bc"), "data: a\u2028b\x0bc\n\n".encode()),
    (ServerSentEvent(data={"a": [1, None]}), b'data: {"a":[1,null]}\n\n'),
    (ServerSentEvent(data=0), b"data: 0\n\n"),
    (
        ServerSentEvent(data="x", event="tick", id=7, retry=3000, comment="note\nmore"),
        b": note\n: more\nid: 7\nevent: tick\nretry: 3000\ndata: x\n\n",
    ),
    (ServerSentEvent(comment="only"), b": only\n\n"),
    (ServerSentEvent(id=""), b"id: \n\n"),
]


@pytest.mark.parametrize(("event", "wire"), WIRE)
def test_an_event_on_the_wire(event: ServerSentEvent, wire: bytes) -> None:
    assert event.encode() == wire


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "\r\ndata: x", "a\0b"])
def test_a_name_or_id_holds_no_line_end(text: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        ServerSentEvent(event=text)
    with pytest.raises(ValueError, match="line end"):
        ServerSentEvent(id=text)


def test_retry_is_not_negative() -> None:
    with pytest.raises(ValueError, match="retry=-1"):
        ServerSentEvent(retry=-1)


@given(st.text(), st.text())
def test_no_text_gets_out_of_its_field(data: str, comment: str) -> None:
    wire = ServerSentEvent(data=data, comment=comment, event="e").encode().decode()
    assert parse(wire) == [{"event": "e", "data": re.sub(r"\r\n|\r", "\n", data)}]


async def three() -> AsyncIterator[Any]:
    yield "text"
    yield {"data": "mapping", "event": "e", "id": 1}
    yield ServerSentEvent(data="object", retry=10)


def three_in_a_thread() -> Iterator[Any]:
    yield "text"
    yield {"data": "mapping", "event": "e", "id": 1}
    yield ServerSentEvent(data="object", retry=10)


@pytest.mark.parametrize("source", [three, three_in_a_thread, lambda: list(three_in_a_thread())])
async def test_events_of_any_source_are_sent(source: Callable[[], Any]) -> None:
    done: list[str] = []
    response = EventSourceResponse(source(), background=BackgroundTask(done.append, "ran"))
    channel = await call(response, build_scope())
    assert channel.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert channel.headers[b"cache-control"] == b"no-store"
    assert channel.headers[b"x-accel-buffering"] == b"no"
    assert b"content-length" not in channel.headers
    assert parse(channel.body.decode()) == [
        {"data": "text"},
        {"id": "1", "event": "e", "data": "mapping"},
        {"retry": "10", "data": "object"},
    ]
    assert [message["body"] for message in channel.messages[1:]][-1] == b""
    assert not channel.messages[-1]["more_body"]
    assert done == ["ran"]


async def test_given_headers_stand() -> None:
    response = EventSourceResponse([], headers={"Cache-Control": "no-cache"})
    channel = await call(response, build_scope())
    assert channel.headers[b"cache-control"] == b"no-cache"


class Quiet:
    """Events that never come."""

    def __init__(self) -> None:
        self.closed = False
        self.ended = anyio.Event()

    async def events(self) -> AsyncIterator[str]:
        try:
            yield "first"
            await anyio.sleep_forever()
        finally:
            self.closed = True
            self.ended.set()


async def test_silence_is_broken_by_comments() -> None:
    quiet = Quiet()
    channel = Channel(stays=True)
    with anyio.CancelScope() as scope:

        async def send(message: Message) -> None:
            await channel.send(message)
            if len(channel.messages) == 5:
                scope.cancel()

        response = EventSourceResponse(quiet.events(), heartbeat=0.2)
        with anyio.fail_after(2):
            await response(build_scope(), channel.receive, send)
    bodies = [message["body"] for message in channel.messages[1:]]
    assert bodies[0] == b"data: first\n\n"
    assert len(bodies) == 4
    assert set(bodies[1:]) == {b": heartbeat\n\n"}
    assert parse(channel.body.decode()) == [{"data": "first"}]
    assert quiet.closed


async def test_no_comment_is_sent_while_events_come_or_when_it_is_switched_off() -> None:
    async def busy() -> AsyncIterator[str]:
        for _ in range(20):
            await anyio.sleep(0.06)
            yield "x"

    for events, heartbeat in ((busy(), 1), (Quiet().events(), None)):
        channel = Channel(stays=True)
        with anyio.move_on_after(2):
            response = EventSourceResponse(events, heartbeat=heartbeat)
            await response(build_scope(), channel.receive, channel.send)
        assert b"heartbeat" not in channel.body


async def test_a_heartbeat_waits_for_the_event_that_is_being_sent() -> None:
    channel = Channel(stays=True)
    sending = 0

    async def send(message: Message) -> None:
        nonlocal sending
        sending += 1
        assert sending == 1
        await anyio.sleep(0.1)
        await channel.send(message)
        sending -= 1

    response = EventSourceResponse(["a", "b"], heartbeat=0.01)
    await response(build_scope(), channel.receive, send)
    assert sending == 0
    assert [event["data"] for event in parse(channel.body.decode())] == ["a", "b"]


async def test_a_draining_server_ends_the_stream_in_good_order() -> None:
    quiet = Quiet()
    draining = anyio.Event()
    channel = Channel(stays=True)
    async with anyio.create_task_group() as tasks:
        response = EventSourceResponse(quiet.events(), draining=draining.is_set)
        tasks.start_soon(response, build_scope(), channel.receive, channel.send)
        await anyio.sleep(0.1)
        assert not quiet.closed
        draining.set()
        with anyio.fail_after(2):
            await quiet.ended.wait()
    check_hint(channel.messages[-1])


def check_hint(last: Message) -> None:
    """The last chunk tells when to connect again."""
    assert not last["more_body"]
    hint = re.fullmatch(rb"retry: (\d+)\n\n", last["body"])
    assert hint is not None
    assert 500 <= int(hint[1]) <= 3000


async def test_a_server_that_stops_says_so_itself() -> None:
    quiet = Quiet()
    stopping = anyio.Event()
    channel = Channel(stays=True)
    async with anyio.create_task_group() as tasks:
        scope = {**build_scope(), "framework.stopping": stopping}
        response = EventSourceResponse(quiet.events(), heartbeat=0.05)
        tasks.start_soon(response, scope, channel.receive, channel.send)
        with anyio.fail_after(10):
            while b"heartbeat" not in channel.body:  # noqa: ASYNC110
                await anyio.sleep(0.01)
        assert not quiet.closed
        stopping.set()
        with anyio.fail_after(0.3):
            await quiet.ended.wait()
    check_hint(channel.messages[-1])


async def test_a_stream_that_ends_by_itself_gives_no_hint() -> None:
    scope = {**build_scope(), "framework.stopping": anyio.Event()}
    channel = await call(EventSourceResponse(["a"]), scope)
    assert channel.messages[-1]["body"] == b""


async def test_the_stream_ends_with_its_client() -> None:
    quiet = Quiet()
    with anyio.fail_after(0.5):
        await EventSourceResponse(quiet.events())(
            build_scope(), Channel(b"").receive, Channel().send
        )
    assert quiet.closed


async def test_a_failure_is_raised_bare_and_leaves_the_stream_unfinished() -> None:
    async def failing() -> AsyncIterator[Any]:
        yield "x"
        raise LookupError("in the middle")

    async def wrong() -> AsyncIterator[Any]:
        yield 5

    for events, error in ((failing(), LookupError), (wrong(), TypeError)):
        channel = Channel(stays=True)
        with pytest.raises(error):
            await EventSourceResponse(events)(build_scope(), channel.receive, channel.send)
        assert channel.messages[-1].get("more_body", True)


async def test_a_failing_drain_signal_ends_the_stream() -> None:
    def fail() -> bool:
        raise LookupError("no state")

    quiet = Quiet()
    channel = Channel(stays=True)
    with anyio.fail_after(2), pytest.raises(LookupError):
        await EventSourceResponse(quiet.events(), draining=fail)(
            build_scope(), channel.receive, channel.send
        )


async def test_head_gets_no_events() -> None:
    quiet = Quiet()
    with anyio.fail_after(2):
        channel = await call(EventSourceResponse(quiet.events()), build_scope("/", "HEAD"))
    assert channel.headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert channel.body == b""


async def test_the_events_are_made_in_the_context_of_the_request() -> None:
    async def events() -> AsyncIterator[str]:
        yield variable.get()
        variable.set("set by the events")

    token = variable.set("set by the endpoint")
    channel = await call(EventSourceResponse(events()), build_scope())
    assert parse(channel.body.decode()) == [{"data": "set by the endpoint"}]
    assert variable.get() == "set by the events"
    variable.reset(token)


@pytest.mark.parametrize("heartbeat", [0, -1])
def test_a_heartbeat_takes_its_time(heartbeat: float) -> None:
    with pytest.raises(ValueError, match="heartbeat="):
        EventSourceResponse([], heartbeat=heartbeat)


async def test_events_that_never_wait_let_others_run_and_end_with_their_client() -> None:
    sent = 0

    async def events() -> AsyncIterator[str]:
        while True:
            yield "x"

    async def receive() -> Message:
        await anyio.sleep(0.1)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal sent
        sent += 1

    with anyio.fail_after(5):
        await EventSourceResponse(events())(build_scope("/"), receive, send)
    assert sent > 1
