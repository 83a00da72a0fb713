from __future__ import annotations

import json
import logging
import os
import pty
import warnings
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from structlog.contextvars import bind_contextvars

from framework.observability import _sink
from framework.observability._tracebacks import mark_reported
from framework.observability.logging import LOG_LEVELS, configure_logging, get_logger
from tests.framework.observability.harness import LogStream


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


@pytest.mark.parametrize("name", ["gunicorn.error", "uvicorn.error", "asyncio", "some.library"])
def test_stdlib_loggers_write_the_same_stream_and_shape(log: LogStream, name: str) -> None:
    bind_contextvars(request_id="abc")

    logging.getLogger(name).warning("hello %s", "world", extra={"shard": 3, "color_message": "x"})

    line = only_line(log)
    expected = ["timestamp", "level", "logger", "event", "shard", "request_id", "pid"]
    assert list(line) == expected
    assert (line["level"], line["logger"], line["event"]) == ("warning", name, "hello world")


def test_access_lines_of_uvicorn_are_not_written_whoever_gives_them_a_handler(
    log: LogStream,
) -> None:
    logger = logging.getLogger("uvicorn.access")
    assert not logger.propagate
    handler = logging.StreamHandler(log)
    logger.addHandler(handler)
    logger.warning("GET /")
    logger.removeHandler(handler)
    assert log.lines() == []


def test_warnings_are_log_lines(log: LogStream) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old API", DeprecationWarning, stacklevel=1)

    line = only_line(log)
    assert line["logger"] == "py.warnings"
    assert "DeprecationWarning: old API" in line["event"]


def test_arguments_that_do_not_fit_the_format_are_reported_in_the_line(
    log: LogStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The test runner's own handlers raise at such a record.
    root = logging.getLogger()
    ours = [
        handler for handler in root.handlers if type(handler).__module__.startswith("framework")
    ]
    monkeypatch.setattr(root, "handlers", ours)
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
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log_something)
    await anyio.to_thread.run_sync(logging.getLogger("lib").info, "in a thread")

    for event in ("in a task", "in a thread"):
        assert log.named(event)[0]["request_id"] == "abc"
