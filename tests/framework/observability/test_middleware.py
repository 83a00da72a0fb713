from __future__ import annotations

import logging
import re
from typing import Any

import anyio
import anyio.to_thread
import pytest
from prometheus_client import CollectorRegistry
from structlog.contextvars import bind_contextvars

from framework.observability.context import current_request_id
from framework.observability.logging import configure_logging, get_logger
from framework.observability.middleware import ObservabilityMiddleware
from framework.types import Message, Receive, Scope, Send
from tests.framework.observability.harness import (
    GIVEN_ID,
    REQUEST_ID,
    LogStream,
    MountedRoutes,
    Observe,
    Route,
    Server,
    answer,
    count,
    http_scope,
)

pytestmark = pytest.mark.anyio


async def test_a_request_is_one_line_with_what_happened(observe: Observe, log: LogStream) -> None:
    await Server().run(observe(answer()), http_scope(headers=GIVEN_ID))

    (line,) = log.named("request")
    assert line.pop("duration_ms") >= line.pop("ttfb_ms") >= 0
    assert line.pop("timestamp")
    assert re.fullmatch("[0-9a-f]{32}", line.pop("trace_id"))
    assert re.fullmatch("[0-9a-f]{16}", line.pop("span_id"))
    assert line.pop("pid")
    assert line == {
        "level": "info",
        "logger": "framework.access",
        "event": "request",
        "method": "GET",
        "path": "/items/7",
        "route": "/items/{id}",
        "status": 200,
        "bytes": 5,
        "client": "192.0.2.7",
        "request_id": REQUEST_ID,
    }


async def test_the_query_is_not_logged(observe: Observe, log: LogStream) -> None:
    await Server().run(observe(answer()))
    assert "secret" not in log.getvalue()


async def test_a_well_formed_request_id_is_returned(observe: Observe) -> None:
    scope = http_scope(headers=GIVEN_ID)
    server = await Server().run(observe(answer()), scope)

    assert server.header(b"x-request-id") == [REQUEST_ID.encode()]
    assert server.header(b"a") == [b"b"]
    assert scope["framework.request_id"] == REQUEST_ID


async def test_an_ill_formed_request_id_is_replaced_everywhere(
    observe: Observe, log: LogStream
) -> None:
    headers = [(b"x-request-id", b"a\nb")]
    server = await Server().run(observe(answer()), http_scope(headers=headers))

    (made,) = server.header(b"x-request-id")
    assert len(made) == 32
    assert log.named("request")[0]["request_id"] == made.decode()


async def test_a_request_id_of_the_application_does_not_contradict_ours(observe: Observe) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-request-id", b"from-upstream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    server = await Server().run(observe(app), http_scope(headers=GIVEN_ID))
    assert server.header(b"x-request-id") == [REQUEST_ID.encode()]


async def test_a_message_that_the_application_reuses_is_not_changed(observe: Observe) -> None:
    start: Message = {"type": "http.response.start", "status": 204, "headers": [(b"a", b"b")]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body"})

    for _ in range(3):
        await Server().run(observe(app))
    assert start["headers"] == [(b"a", b"b")]


async def test_headers_are_optional_in_a_response(observe: Observe) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    server = await Server().run(observe(app), http_scope(headers=GIVEN_ID))
    assert server.header(b"x-request-id") == [REQUEST_ID.encode()]


async def test_every_line_of_a_request_has_its_id(observe: Observe, log: LogStream) -> None:
    async def work() -> None:
        get_logger("app").info("in a task")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        get_logger("app").info("in the endpoint")
        logging.getLogger("library").info("in a library")
        await anyio.to_thread.run_sync(get_logger("app").info, "in a thread")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(work)
        assert current_request_id() == REQUEST_ID
        await answer()(scope, receive, send)
        get_logger("app").info("in the background")

    await Server().run(observe(app), http_scope(headers=GIVEN_ID))

    assert {line["event"] for line in log.lines()} == {
        "in the endpoint",
        "in a library",
        "in a thread",
        "in a task",
        "in the background",
        "request",
    }
    assert {line["request_id"] for line in log.lines()} == {REQUEST_ID}


async def test_nothing_leaks_into_the_next_request_of_the_same_context(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        get_logger("app").info("seen")
        bind_contextvars(user="ann")
        await answer()(scope, receive, send)

    await Server().run(observe(app), http_scope(headers=GIVEN_ID))
    await Server().run(observe(app))

    first, second = log.named("seen")
    assert first["request_id"] == REQUEST_ID
    assert second["request_id"] != REQUEST_ID
    assert "user" not in second
    assert [line["user"] for line in log.named("request")] == ["ann", "ann"]


async def test_the_line_is_written_before_work_that_follows_the_response(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer()(scope, receive, send)
        assert len(log.named("request")) == 1
        await anyio.sleep(0.05)

    await Server().run(observe(app))
    (line,) = log.named("request")
    assert line["duration_ms"] < 50


async def test_bytes_are_those_of_all_body_messages(observe: Observe, log: LogStream) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3):
            await send({"type": "http.response.body", "body": b"1234", "more_body": True})
        await send({"type": "http.response.body", "body": b"5"})

    await Server().run(observe(app))
    assert log.named("request")[0]["bytes"] == 13


async def test_the_body_of_an_answer_to_head_is_not_counted(
    observe: Observe, log: LogStream
) -> None:
    await Server().run(observe(answer()), http_scope(method="HEAD"))
    assert log.named("request")[0]["bytes"] == 0


async def test_a_file_sent_by_the_server_completes_a_response(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.pathsend", "path": "/srv/file"})

    server = await Server().run(observe(app))
    assert [message["type"] for message in server.sent][1] == "http.response.pathsend"
    assert log.named("request")[0]["status"] == 200


async def test_other_messages_pass_through(observe: Observe) -> None:
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>"]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(hint)
        await answer()(scope, receive, send)

    server = await Server().run(observe(app))
    assert server.sent[0] is hint


@pytest.mark.parametrize(
    ("route", "prefix", "template"),
    [
        (None, None, "__unmatched__"),
        (object(), None, "__unmatched__"),
        (Route("/items/{id}"), None, "/items/{id}"),
        (Route("/items/{id}"), "", "/items/{id}"),
        (Route("/items/{id}"), "/api/{version}", "/api/{version}/items/{id}"),
        (Route("/a"), "/a", "/a/a"),
        (MountedRoutes("/static"), "/static", "/static"),
        (MountedRoutes(""), "", "/"),
    ],
)
async def test_the_route_is_its_template_with_mounts(
    observe: Observe, log: LogStream, route: Any, prefix: str | None, template: str
) -> None:
    scope = http_scope()
    if route is not None:
        scope["route"] = route
    if prefix is not None:
        scope["framework.route_prefix"] = prefix

    await Server().run(observe(answer(route=None)), scope)
    assert log.named("request")[0]["route"] == template


async def test_a_long_path_is_cut(observe: Observe, log: LogStream) -> None:
    await Server().run(observe(answer()), http_scope("/" + "x" * 60_000))
    assert len(log.named("request")[0]["path"]) == 1024


async def test_a_client_without_an_address_is_null(observe: Observe, log: LogStream) -> None:
    await Server().run(observe(answer()), http_scope(client=None))
    assert log.named("request")[0]["client"] is None


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
async def test_probes_are_requests_like_any_other(
    observe: Observe, log: LogStream, path: str
) -> None:
    await Server().run(observe(answer()), http_scope(path))
    assert [line["level"] for line in log.named("request")] == ["info"]


@pytest.mark.parametrize(("status", "level"), [(200, "debug"), (404, "debug"), (503, "info")])
async def test_quiet_paths_are_written_at_debug_unless_they_fail(
    observe: Observe, log: LogStream, status: int, level: str
) -> None:
    app = observe(answer(status), quiet_paths=["/livez"])
    await Server().run(app, http_scope("/livez"))
    assert [line["level"] for line in log.named("request")] == [level]


async def test_a_new_level_counts_also_where_fields_are_bound(observe: Observe) -> None:
    async def bind(scope: Scope, receive: Receive, send: Send) -> None:
        bind_contextvars(tenant="a")
        await answer()(scope, receive, send)

    app = observe(bind, quiet_paths=["/livez"])
    lines = []
    for level in ("INFO", "DEBUG"):
        stream = LogStream()
        configure_logging(level=level, format="json", stream=stream)
        await Server().run(app, http_scope("/livez"))
        lines.append([line["tenant"] for line in stream.named("request")])
    assert lines == [[], ["a"]]


async def test_a_request_is_counted_and_timed(
    observe: Observe, registry: CollectorRegistry
) -> None:
    in_flight: list[float | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        in_flight.append(registry.get_sample_value("http_requests_in_flight"))
        await answer(201)(scope, receive, send)

    await Server().run(observe(app), http_scope(method="POST"))

    labels = {"method": "POST", "route": "/items/{id}", "status": "201"}
    assert registry.get_sample_value("http_requests_total", labels) == 1
    assert registry.get_sample_value("http_request_duration_seconds_count", labels) == 1
    assert in_flight == [1]
    assert registry.get_sample_value("http_requests_in_flight") == 0


async def test_the_access_log_can_be_turned_off(
    observe: Observe, log: LogStream, registry: CollectorRegistry
) -> None:
    server = await Server().run(observe(answer(), access_log=False))

    assert log.lines() == []
    assert count(registry, 200) == 1
    assert server.header(b"x-request-id") != []


async def test_metrics_can_be_turned_off(
    observe: Observe, log: LogStream, registry: CollectorRegistry
) -> None:
    await Server().run(observe(answer(), metrics=False))

    assert len(log.named("request")) == 1
    assert count(registry, 200) == 0


async def test_the_worker_is_measured_during_its_lifespan(
    observe: Observe, registry: CollectorRegistry
) -> None:
    slot = {"worker_slot": "0"}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with anyio.fail_after(5):
            while not registry.get_sample_value("process_worker_open_fds", slot):  # noqa: ASYNC110
                await anyio.sleep(0.01)

    await Server().run(observe(app), {"type": "lifespan"})

    resident = registry.get_sample_value("process_worker_resident_memory_bytes", slot)
    assert resident is not None
    assert resident > 1_000_000


@pytest.mark.parametrize("kind", ["lifespan", "something.else"])
async def test_other_connections_pass_untouched(
    observe: Observe, log: LogStream, kind: str
) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.extend([scope, receive, send])

    scope: Scope = {"type": kind}
    server = Server()
    await server.run(observe(app, metrics=False), scope)
    assert seen == [scope, server.receive, server.send]
    assert log.lines() == []


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize(
    "path", ["/\x1b[31mred", "/a\r\nb", "/\x9b31m", "/\u202e", "/\ud800", "/ü✓"]
)
async def test_no_path_breaks_the_line_or_reaches_a_terminal_as_control(
    restored_logging: None, format: Any, path: str
) -> None:
    """CVE-2020-7694: a path could write what it wanted into the terminal of who reads the log."""
    stream = LogStream()
    configure_logging(format=format, stream=stream)
    app = ObservabilityMiddleware(answer(), metrics=False)

    await Server().run(app, {**http_scope(), "path": path})

    text = stream.getvalue()
    assert text.count("\n") == 1
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e\ud800]", text)
    if format == "json":
        shown = path.encode("utf-8", "backslashreplace").decode()
        assert stream.named("request")[0]["path"] == shown


async def test_what_a_handler_binds_is_on_the_access_line(observe: Observe, log: LogStream) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bind_contextvars(user="ann", session_token="abc")
        await answer()(scope, receive, send)

    await Server().run(observe(app))
    await Server().run(observe(answer()))
    first, second = log.named("request")
    assert (first["user"], first["session_token"]) == ("ann", "[redacted]")
    assert first.keys() - second.keys() == {"user", "session_token"}


async def test_a_level_above_info_writes_no_access_lines(restored_logging: None) -> None:
    stream = LogStream()
    configure_logging(level="WARNING", format="json", stream=stream)
    await Server().run(ObservabilityMiddleware(answer(), metrics=False))
    assert stream.getvalue() == ""


async def test_the_time_to_the_first_byte_is_not_that_of_the_last(
    observe: Observe, log: LogStream
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await anyio.sleep(0.05)
        await send({"type": "http.response.body", "body": b"late"})

    await Server().run(observe(app))
    (line,) = log.named("request")
    assert line["ttfb_ms"] + 40 < line["duration_ms"]
