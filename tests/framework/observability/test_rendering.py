"""Whatever is logged: it is one line, it is harmless, and it is told as it is."""

from __future__ import annotations

import dataclasses
import enum
import http
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from framework.observability._limits import (
    MAX_LOGGED_ITEMS,
    MAX_LOGGED_LINE_BYTES,
    MAX_NESTED_TEXT_CHARACTERS,
)
from framework.observability.logging import configure_logging, get_logger
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
        (Credentials("ann", "hunter2"), "Credentials(user='ann', password=[redacted])"),
        ([Credentials("ann", "hunter2")], ["Credentials(user='ann', password=[redacted])"]),
        (Unshown(), "<Unshown: not shown, LookupError>"),
        (BadMapping(a=1), "<BadMapping: not shown, LookupError>"),
        ("\ud800", "\\ud800"),
        (10**400, 10**400),
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


def _fail_long() -> Exception:
    try:
        try:
            raise ValueError("v" * 10**4)
        except ValueError:
            raise LookupError("\x9b" * 10**4) from ExceptionGroup("m", [OSError("o" * 10**4)] * 9)
    except LookupError as exc:
        return exc


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"value": "a" * 10**6}, {"value": "a" * 1024 + "… (1000000 characters)"}),
        ({"value": "\u2028" * 10**4, "n": 1}, {"n": 1}),
        ({"value": ["a" * 1000] * 50, "n": 1}, {"value": ["a" * 128 + "… (1000 characters)"] * 50}),
        (
            {"value": [{str(n): [*range(100)] for n in range(100)}], "n": 1},
            {"value": [{str(n): [0, 1, 2, 3, 96, 97, 98, 99] for n in range(100)}], "n": 1},
        ),
        (
            {"value": {str(n): dict.fromkeys(map(str, range(100)), n) for n in range(100)}, "n": 1},
            {"value": "…", "n": 1},
        ),
        ({f"name {n}": "a" * 200 for n in range(200)} | {"request_id": "r"}, {"request_id": "r"}),
        ({"a" * 50_000: 1, "request_id": "r"}, {"request_id": "r"}),
        ({"exc_info": _fail_long()}, {}),
    ],
    ids=[
        "a text",
        "unsafe",
        "texts",
        "lists",
        "no structures",
        "many fields",
        "a long name",
        "an exception",
    ],
)
def test_no_line_is_longer_than_what_workers_can_write_at_the_same_time(
    log: LogStream, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    get_logger("app").error("x" * 10**5, **fields)

    assert len(log.getvalue().encode()) <= MAX_LOGGED_LINE_BYTES
    line = only_line(log)
    assert line["event"].startswith("x" * 100)
    assert {name: line[name] for name in expected} == expected
    if "exc_info" in fields:
        assert line["exception"][0]["message"].startswith("\x9b" * 100)
        assert line["exception"][0]["frames"][-1]["function"] == "_fail_long"


def _call_deep(depth: int, fails: Callable[[], None]) -> None:
    if depth:
        _call_deep(depth - 1, fails)
    else:
        fails()


def _fail_again(times: int) -> None:
    if not times:
        raise ConnectionResetError("the first")
    try:
        _call_deep(40, lambda: _fail_again(times - 1))
    except OSError as exc:
        raise TimeoutError(f"attempt {times}") from exc


def test_a_long_chain_of_exceptions_keeps_its_types_and_both_ends_of_its_frames(
    log: LogStream,
) -> None:
    try:
        _fail_again(6)
    except TimeoutError as exc:
        get_logger("app").error("failed", exc_info=exc)

    assert len(log.getvalue().encode()) <= MAX_LOGGED_LINE_BYTES
    chain = only_line(log)["exception"]
    assert [item["message"] for item in chain] == [
        *(f"attempt {times}" for times in range(6, 0, -1)),
        "the first",
    ]
    assert {len(item["frames"]) for item in chain[1:]} == {8}
    assert chain[-1]["frames"][-1]["function"] == "_fail_again"
