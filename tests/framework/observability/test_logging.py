from __future__ import annotations

import asyncio
import dataclasses
import enum
import http
import json
import logging
import os
import pty
import re
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from framework.observability import _sink
from framework.observability._limits import MAX_LOGGED_ITEMS, MAX_NESTED_TEXT_CHARACTERS
from framework.observability._tracebacks import mark_reported
from framework.observability.logging import LOG_LEVELS, configure_logging, get_logger
from structlog.contextvars import bind_contextvars

from tests.framework.observability.harness import LogStream

HOSTILE = [
    "two\nlines",
    "carriage\rreturn",
    "\x1b[31mred",
    "\x9b31mred",
    "nul\x00",
    "delete\x7f",
    "next\x85line",
    "line\u2028separator",
    "right\u202eto left",
    "isolate\u2066",
    'quote" and \\',
    '{"event": "forged"}',
    "plain ünïcödé ✓",
]
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def only_line(log: LogStream) -> dict[str, Any]:
    (line,) = log.lines()
    return line


def test_a_line_begins_with_time_level_logger_and_event(log: LogStream) -> None:
    get_logger("app.orders").info("order placed", order_id=7)

    line = only_line(log)
    assert list(line) == ["timestamp", "level", "logger", "event", "order_id", "pid"]
    assert line["level"] == "info"
    assert line["logger"] == "app.orders"
    assert line["event"] == "order placed"
    assert line["order_id"] == 7
    assert line["pid"] == os.getpid()
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "name", ["gunicorn.error", "uvicorn.error", "uvicorn.access", "asyncio", "some.library"]
)
def test_stdlib_loggers_write_the_same_stream_and_shape(log: LogStream, name: str) -> None:
    bind_contextvars(request_id="abc")

    logging.getLogger(name).warning("hello %s", "world", extra={"shard": 3, "color_message": "x"})

    line = only_line(log)
    expected = ["timestamp", "level", "logger", "event", "shard", "request_id", "pid"]
    assert list(line) == expected
    assert (line["level"], line["logger"], line["event"]) == ("warning", name, "hello world")


def test_warnings_are_log_lines(log: LogStream) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old API", DeprecationWarning, stacklevel=1)

    line = only_line(log)
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: old API" in line["event"]


def test_arguments_that_do_not_fit_the_format_are_reported_in_the_line(log: LogStream) -> None:
    logging.getLogger("lib").error("%d items", "many")

    assert only_line(log)["event"] == "%d items (arguments do not fit: TypeError)"


def test_handlers_that_servers_or_basic_config_installed_print_nothing_twice(
    restored_logging: None,
) -> None:
    other = LogStream()
    logging.getLogger().addHandler(logging.StreamHandler(other))
    logging.getLogger("uvicorn.error").addHandler(logging.StreamHandler(other))
    stream = LogStream()

    configure_logging(format="json", stream=stream)
    configure_logging(format="json", stream=stream)
    logging.getLogger("uvicorn.error").warning("once")

    assert len(stream.lines()) == 1
    assert other.getvalue() == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_breaks_a_json_line_or_reaches_a_terminal_as_control(
    log: LogStream, text: str
) -> None:
    get_logger(text).info(text, path=text, nested={text: [text]})
    logging.getLogger("lib").info(text)

    first, second = log.getvalue().removesuffix("\n").split("\n")
    assert CONTROLS.search(first + second) is None
    assert log.lines()[0]["path"] == text
    assert log.lines()[0]["event"] == text
    assert log.lines()[0]["nested"] == {text: [text]}
    assert log.lines()[1]["event"] == text.rstrip()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("where", ["event", "value", "key", "exception", "object"])
def test_no_text_reaches_a_terminal_as_control_in_console_mode(
    restored_logging: None, text: str, where: str
) -> None:
    stream = LogStream()
    configure_logging(format="console", stream=stream)
    logger = get_logger("app")

    if where == "event":
        logger.info(text)
    elif where == "value":
        logger.info("x", path=text, nested=[text])
    elif where == "key":
        logger.info("x", **{text: 1})
    elif where == "object":
        logger.info("x", thing=Shown(text))
    else:
        logger.info("x", exc_info=ValueError(text))

    shown = stream.getvalue()
    assert CONTROLS.search(shown.replace("\n", "")) is None
    if where != "exception":
        assert shown.count("\n") == 1


class Shown:
    """An object whose repr is what the test says."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class Unshown:
    def __repr__(self) -> str:
        raise LookupError("no repr")


class BadMapping(dict[str, int]):
    def items(self) -> Any:
        raise LookupError("no items")


@dataclasses.dataclass
class Credentials:
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials(user={self.user!r}, password='***')"


class Colour(enum.Enum):
    RED = 1


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (float("nan"), None),
        (b"caf\xc3\xa9 \xff", "café \\xff"),
        (http.HTTPStatus.OK, 200),
        (http.HTTPMethod.GET, "GET"),
        (Colour.RED, "<Colour.RED: 1>"),
        (Path("/tmp/x"), "/tmp/x"),
        ((1, "a"), [1, "a"]),
        ({1: {"a": 2}}, {"1": {"a": 2}}),
        (Credentials("ann", "hunter2"), "Credentials(user='ann', password='***')"),
        ([Credentials("ann", "hunter2")], ["Credentials(user='ann', password='***')"]),
        (Unshown(), "<Unshown: not shown, LookupError>"),
        (BadMapping(a=1), "<BadMapping: not shown, LookupError>"),
        ("\ud800", "\\ud800"),
        (10**400, "<integer of 1329 bits>"),
        ([10**9999], ["<integer of 33216 bits>"]),
        (CYCLE, [[[[[["…"]]]]]]),
        (list(range(1000)), list(range(MAX_LOGGED_ITEMS))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_value_can_be_logged(log: LogStream, value: Any, expected: Any) -> None:
    get_logger("app").info("x", value=value)

    assert only_line(log)["value"] == expected


@pytest.mark.parametrize("format", ["json", "console"])
def test_nested_text_is_cut(restored_logging: None, format: Any) -> None:
    stream = LogStream()
    configure_logging(format=format, stream=stream)

    get_logger("app").info("x", value=["a" * 10**6], exc_info=None)

    assert len(stream.getvalue()) < MAX_NESTED_TEXT_CHARACTERS + 500
    assert "(1000000 characters)" in stream.getvalue()


def test_a_caller_cannot_replace_the_fields_of_a_line(log: LogStream) -> None:
    get_logger("app").warning("x", level="debug", timestamp=0, logger="other", pid=1)

    line = only_line(log)
    assert line["level"] == "warning"
    assert line["logger"] == "app"
    assert line["pid"] == os.getpid()
    assert (line["level_"], line["logger_"], line["pid_"]) == ("debug", "other", 1)


def test_a_traceback_is_data_in_the_same_line(log: LogStream) -> None:
    def fail(password: str) -> None:
        try:
            raise KeyError("inner\nline")
        except KeyError as exc:
            exc.add_note("a note")
            raise ValueError("outer") from exc

    try:
        fail("hunter2")
    except ValueError:
        get_logger("app").exception("it failed")

    outer, inner = only_line(log)["exception"]
    assert (outer["type"], outer["message"]) == ("ValueError", "outer")
    assert [frame["function"].rpartition(".")[2] for frame in outer["frames"]] == [
        "test_a_traceback_is_data_in_the_same_line",
        "fail",
    ]
    assert outer["frames"][0]["file"] == __file__
    assert inner["relation"] == "cause"
    assert inner["notes"] == ["a note"]
    assert "hunter2" not in log.getvalue()


def test_stdlib_tracebacks_have_the_same_form(log: LogStream) -> None:
    try:
        json.loads("{")
    except ValueError:
        logging.getLogger("lib").exception("not parsed")

    (item,) = only_line(log)["exception"]
    assert item["type"] == "json.decoder.JSONDecodeError"


def test_an_exception_that_the_request_has_logged_is_not_logged_by_the_server_again(
    log: LogStream,
) -> None:
    exc = ValueError("seen")
    mark_reported(exc)

    logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=exc)
    assert log.lines() == []

    logging.getLogger("app.jobs").error("job failed", exc_info=exc)
    assert len(log.lines()) == 1


@pytest.mark.parametrize("level", LOG_LEVELS)
def test_lower_levels_are_not_written(restored_logging: None, level: str) -> None:
    stream = LogStream()
    configure_logging(level=level.lower(), format="json", stream=stream)
    logger = get_logger("app")

    for name in LOG_LEVELS:
        getattr(logger, name.lower())("structlog")
        logging.getLogger("lib").log(getattr(logging, name), "stdlib")

    written = [name.lower() for name in LOG_LEVELS[LOG_LEVELS.index(level) :]]
    assert [line["level"] for line in stream.named("structlog")] == written
    assert [line["level"] for line in stream.named("stdlib")] == written


def test_an_unknown_level_or_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'LOUD'.*DEBUG, INFO"):
        configure_logging(level="LOUD")
    with pytest.raises(ValueError, match=r"'xml'.*auto, json, console"):
        configure_logging(format="xml")  # type: ignore[arg-type]


def test_loggers_in_use_follow_a_new_configuration(restored_logging: None) -> None:
    first, second = LogStream(), LogStream()
    logger = get_logger("app")
    configure_logging(format="json", stream=first)
    logger.info("one")
    configure_logging(format="json", stream=second)
    logger.info("two")

    assert [line["event"] for line in first.lines()] == ["one"]
    assert [line["event"] for line in second.lines()] == ["two"]


def test_auto_is_coloured_text_on_a_terminal_and_json_elsewhere(restored_logging: None) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal, os.fdopen(leader, "rb", buffering=0) as screen:
        configure_logging(format="auto", stream=terminal)
        get_logger("app").info("hello", n=1)
        shown = screen.read(4096)
    stream = LogStream()
    configure_logging(format="auto", stream=stream)
    get_logger("app").info("hello", n=1)

    assert b"\x1b[" in shown
    assert b"hello" in shown
    assert only_line(stream)["n"] == 1


def test_a_line_is_one_write(
    restored_logging: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []

    def count(fd: int, data: bytes) -> int:
        writes.append(data)
        return os.write(fd, data)

    monkeypatch.setattr(_sink, "_write", count)
    with (tmp_path / "log").open("w") as stream:
        configure_logging(format="json", stream=stream)
        get_logger("app").info("x" * 10_000)
        logging.getLogger("lib").warning("y")

    assert [data[-1:] for data in writes] == [b"\n", b"\n"]
    assert (tmp_path / "log").read_bytes() == b"".join(writes)


def test_a_short_write_is_completed(
    restored_logging: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_sink, "_write", lambda fd, data: os.write(fd, data[:10]))
    with (tmp_path / "log").open("w") as stream:
        configure_logging(format="json", stream=stream)
        get_logger("app").info("hello")

    assert json.loads((tmp_path / "log").read_bytes())["event"] == "hello"


def test_a_reader_that_has_gone_does_not_disturb_the_application(restored_logging: None) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        configure_logging(format="json", stream=stream)
        os.close(reader)
        get_logger("app").info("nobody reads this")
        logging.getLogger("lib").error("nor this")


def test_a_closed_stream_does_not_disturb_the_application(log: LogStream) -> None:
    log.close()
    get_logger("app").info("nobody reads this")


@pytest.mark.anyio
async def test_tasks_and_threads_of_a_request_log_its_context(log: LogStream) -> None:
    async def log_something() -> None:
        get_logger("app").info("in a task")

    bind_contextvars(request_id="abc")
    await asyncio.create_task(log_something())
    await asyncio.to_thread(logging.getLogger("lib").info, "in a thread")

    assert [line["request_id"] for line in log.lines()] == ["abc", "abc"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
