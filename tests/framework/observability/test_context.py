from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st
from structlog.contextvars import bind_contextvars, get_contextvars

from framework.observability.context import (
    RequestContext,
    begin_request_context,
    current_context,
    current_request_id,
    forget_request_context,
    merge_context,
)
from framework.observability.tracing import outgoing_trace_headers

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT_ID = "b7ad6b7169203331"
VALID = f"00-{TRACE_ID}-{PARENT_ID}-01".encode()


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    forget_request_context()


def find_request_id(headers: list[tuple[bytes, bytes]]) -> str:
    return RequestContext(headers).request_id


@pytest.mark.parametrize(
    "value", [b"a", b"abc-DEF_0.9", b"x" * 128, b"3f2a9c1e-8f1d-4d2e-9d55-1c2b3a4d5e6f"]
)
def test_a_well_formed_id_is_taken(value: bytes) -> None:
    headers = [(b"host", b"x"), (b"x-request-id", value)]
    assert find_request_id(headers) == value.decode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"x" * 129,
        b"a b",
        b"a\n",
        b"\na",
        b"a\r\nx: y",
        b"a;b",
        b"<a>",
        b"\xff",
        b"a,b",
        b"\xc3\xa9",
    ],
)
def test_an_ill_formed_id_is_replaced(value: bytes) -> None:
    found = find_request_id([(b"x-request-id", value)])
    assert re.fullmatch("[0-9a-f]{32}", found)


def test_of_several_ids_the_first_counts() -> None:
    headers = [(b"x-request-id", b"one"), (b"x-request-id", b"two")]
    assert find_request_id(headers) == "one"


def test_new_ids_differ() -> None:
    contexts = [RequestContext([]) for _ in range(1000)]
    ids = {each for one in contexts for each in (one.request_id, one.trace_id, one.span_id)}
    assert len(ids) == 3000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_ids_of_its_own() -> None:
    RequestContext([])  # there is a pool of ids now
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, RequestContext([]).request_id.encode())
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with os.fdopen(reader) as child:
        assert child.read() not in {RequestContext([]).request_id for _ in range(200)}


@given(st.binary(max_size=200))
def test_an_id_is_always_safe(value: bytes) -> None:
    found = find_request_id([(b"x-request-id", value)])
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", found)


def test_a_request_begins_with_its_ids_and_nothing_else() -> None:
    bind_contextvars(user="ann")
    context = begin_request_context([(b"x-request-id", b"abc")])

    assert get_contextvars() == {}
    assert current_context() is context
    assert current_request_id() == "abc"
    assert merge_context(None, "info", {"event": "x"}) == {
        "event": "x",
        "request_id": "abc",
        "trace_id": context.trace_id,
        "span_id": context.span_id,
    }
    forget_request_context()
    assert current_request_id() is None
    assert merge_context(None, "info", {}) == {}


def test_fields_of_an_event_stay_what_they_are() -> None:
    begin_request_context([])
    bind_contextvars(user="ann")
    event = merge_context(None, "info", {"request_id": "mine", "user": "bob"})
    assert (event["request_id"], event["user"]) == ("mine", "bob")


def test_the_trace_of_the_caller_is_continued_with_a_span_of_its_own() -> None:
    context = RequestContext([(b"traceparent", VALID)])
    assert (context.trace_id, context.flags) == (TRACE_ID, 1)
    assert re.fullmatch("[0-9a-f]{16}", context.span_id)
    assert context.span_id != PARENT_ID


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        VALID.upper(),
        VALID + b"-00",
        VALID + b"\n",
        b" " + VALID,
        b"ff" + VALID[2:],
        b"0g" + VALID[2:],
        VALID.replace(TRACE_ID.encode(), b"0" * 32),
        VALID.replace(PARENT_ID.encode(), b"0" * 16),
        VALID[:-1],
        VALID.replace(b"-", b"_"),
        b"01" + VALID[2:] + b"more",
        b"x" * 65536,
    ],
    ids=lambda value: value[:60].decode(),
)
def test_a_parent_that_is_not_valid_begins_a_new_trace(value: bytes) -> None:
    context = RequestContext([(b"traceparent", value), (b"tracestate", b"a=1")])
    assert re.fullmatch("[0-9a-f]{32}", context.trace_id)
    assert context.trace_id != TRACE_ID
    assert (context.flags, context.tracestate) == (0, [])


def test_a_parent_that_is_sent_twice_begins_a_new_trace() -> None:
    assert RequestContext([(b"traceparent", VALID)] * 2).trace_id != TRACE_ID
    assert RequestContext([(b"traceparent", VALID)] * 3).trace_id != TRACE_ID


def test_a_later_version_may_have_more() -> None:
    later = b"cc" + VALID[2:]
    assert RequestContext([(b"traceparent", later)]).trace_id == TRACE_ID
    assert RequestContext([(b"traceparent", later + b"-what ever")]).trace_id == TRACE_ID


def test_calls_to_others_carry_the_trace_on() -> None:
    assert outgoing_trace_headers() == {}
    fields = [b"rojo=00f067aa0ba902b7, congo=t61rcWkgMzE", b"ok@vendor=1"]
    headers = [(b"traceparent", VALID), *((b"tracestate", field) for field in fields)]
    context = begin_request_context(headers)

    assert outgoing_trace_headers() == {
        "traceparent": f"00-{TRACE_ID}-{context.span_id}-01",
        "tracestate": "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE,ok@vendor=1",
    }


def test_a_new_trace_is_carried_on_as_not_sampled() -> None:
    context = begin_request_context([])
    parent = f"00-{context.trace_id}-{context.span_id}-00"
    assert outgoing_trace_headers() == {"traceparent": parent}


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b",",
        b"novalue",
        b"A=1",
        b"a=1,a=2",
        b"a=1=2",
        b"a=\xff",
        b"a=" + b"x" * 600,
        b",".join(b"k%d=1" % number for number in range(33)),
        b"a=1\r\nx: y",
    ],
)
def test_a_state_that_is_not_valid_is_not_carried_on(value: bytes) -> None:
    begin_request_context([(b"traceparent", VALID), (b"tracestate", value)])
    assert list(outgoing_trace_headers()) == ["traceparent"]
