"""Turn an event into one line: JSON for machines, aligned text for people.

Both renderers are structlog processors (the last of the chain) and serve stdlib records too. They
never raise: a value that cannot be shown is replaced by a text that says so.
"""

from __future__ import annotations

import itertools
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Final, Protocol, TextIO
from uuid import UUID

import msgspec
import structlog

from framework.observability._limits import (
    LONG_LINE_CUTS,
    MAX_LOGGED_DEPTH,
    MAX_LOGGED_ITEMS,
    MAX_LOGGED_LINE_BYTES,
)
from framework.observability._redaction import REDACTED, is_secret, redact_text
from framework.observability._storms import find_exception
from framework.observability._tracebacks import cut_text, describe_exception
from framework.observability.process import log_fields

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_TEXTUAL: Final = (str, date, UUID, Decimal, PurePath)

# Short event names line up at a terminal.
_EVENT_COLUMNS: Final = 20

# What stays of a line that is too long even without its structures.
_KEPT_FIELDS: Final = ("timestamp", "level", "logger", "event", "request_id")

# CPython refuses to print integers of more than 4,300 digits; nobody reads a tenth of that.
_MAX_INTEGER_BITS: Final = 1024

# What a terminal or a log viewer may act on although it is inside a JSON string: DEL and the C1
# controls (one of them starts ANSI sequences), line separators, bidirectional overrides.
_UNSAFE_IN_JSON: Final = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
# The same and the C0 controls, for lines that go to a terminal as they are.
_UNSAFE_IN_TEXT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_UNSAFE_IN_TRACEBACK: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_encode: Final = msgspec.json.Encoder().encode


class Named(Protocol):
    """A logger or a record of the standard library."""

    @property
    def name(self) -> str: ...


class JSONRenderer:
    """Renders an event as one line of JSON in UTF-8, newline included."""

    __slots__ = ()

    def __call__(self, source: Named, level: str, event: MutableMapping[str, Any]) -> bytes:
        exc = pop_exception(event)
        for key, value in event.items():
            # PERF: nearly all values are plain. The check costs 0.5 µs a line and keeps everything
            # else away from the encoder, which would show the fields that a repr() hides.
            if is_secret(key) and value is not None:
                event[key] = REDACTED
            elif type(value) is str:
                event[key] = redact_text(value)
            elif type(value) not in _PLAIN:
                event[key] = to_plain(value)
        head = {
            "timestamp": datetime.now(UTC),
            "level": level,
            "logger": source.name,
            "event": event.pop("event", ""),
        }
        if exc is not None:
            head["exception"] = describe_exception(exc)
        fields = log_fields()
        line = {**head, **event, **fields}
        if len(line) != len(head) + len(event) + len(fields):
            line = _separate(head, event, fields)
        return _encode_line(line)


class ConsoleRenderer:
    """Renders an event as aligned text, in colour when asked; a traceback follows on its own lines."""

    __slots__ = ("_render",)

    def __init__(self, *, colors: bool) -> None:
        self._render: Callable[[Any, str, MutableMapping[str, Any]], str] = (
            structlog.dev.ConsoleRenderer(
                colors=colors,
                sort_keys=False,
                pad_event_to=_EVENT_COLUMNS,
                exception_formatter=_write_traceback,
            )
        )

    def __call__(self, source: Named, level: str, event: MutableMapping[str, Any]) -> bytes:
        now = datetime.now().astimezone()
        shown: dict[str, Any] = {
            "timestamp": now.strftime("%H:%M:%S.") + f"{now.microsecond // 1000:03}",
            "level": level,
            "logger": source.name,
        }
        exc = pop_exception(event)
        for key, value in event.items():
            if key not in shown:
                is_hidden = is_secret(key) and value is not None
                shown[escape_controls(key)] = REDACTED if is_hidden else _to_console(value)
        if exc is not None:
            shown["exc_info"] = exc
        try:
            text = self._render(None, level, shown)
        except Exception as failure:
            text = f"{shown.get('event')} (line not rendered: {type(failure).__name__})"
        return text.encode("utf-8", "backslashreplace") + b"\n"


Renderer = JSONRenderer | ConsoleRenderer


def pop_exception(event: MutableMapping[str, Any]) -> BaseException | None:
    """Take `exc_info` out of an event, whichever of its forms it has, and return the exception."""
    exc = find_exception(event)
    event.pop("exc_info", None)
    return exc


def to_plain(value: Any) -> Any:
    """Return the value as text, numbers, lists and dictionaries, bounded in size and depth.

    Objects are shown by their `repr`, which hides what it wants to hide.
    """
    try:
        return _to_plain(value, 0)
    except Exception as exc:
        return f"<{type(value).__name__}: not shown, {type(exc).__name__}>"


def _to_plain(value: Any, depth: int) -> Any:
    if type(value) in _PLAIN and type(value) is not str:
        return value
    if isinstance(value, _TEXTUAL):
        return redact_text(cut_text(str(value)))
    if isinstance(value, int):
        return int(value)  # a member of an IntEnum, such as http.HTTPStatus
    if isinstance(value, bytes | bytearray | memoryview):
        return redact_text(cut_text(bytes(value).decode("utf-8", "backslashreplace")))
    if depth >= MAX_LOGGED_DEPTH:
        return "…"
    if isinstance(value, Mapping):
        items = itertools.islice(value.items(), MAX_LOGGED_ITEMS)
        return {cut_text(_name(key)): _hide(key, item, depth + 1) for key, item in items}
    if isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str | bytes):
        return [
            _to_plain(value[0], depth + 1),
            _hide(value[0], value[1], depth + 1),
        ]  # a field of a header
    if isinstance(value, list | tuple | set | frozenset):
        return [_to_plain(item, depth + 1) for item in itertools.islice(value, MAX_LOGGED_ITEMS)]
    return redact_text(cut_text(repr(value)))


def _hide(name: object, value: object, depth: int) -> Any:
    return REDACTED if is_secret(_name(name)) and value is not None else _to_plain(value, depth)


def _name(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


def escape_controls(text: str) -> str:
    """Return the text with every character that a terminal could act on as an escape sequence."""
    return _UNSAFE_IN_TEXT.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"


def _escape_for_json(match: re.Match[str]) -> str:
    return f"\\u{ord(match.group()):04x}"


def _encode_line(line: dict[str, Any]) -> bytes:
    try:
        data = _encode(line)
    except Exception:
        data = _encode_slowly(line)
    data = end_line(data)
    return data if len(data) <= MAX_LOGGED_LINE_BYTES else _encode_shortened(line)


def end_line(data: bytes) -> bytes:
    """Return JSON as a line, harmless for who looks at it in a terminal."""
    if data.isascii() and b"\x7f" not in data:
        return data + b"\n"
    return _UNSAFE_IN_JSON.sub(_escape_for_json, data.decode("utf-8")).encode() + b"\n"


def _encode_slowly(line: dict[str, Any]) -> bytes:
    try:
        return _encode(_clean(line))
    except Exception as exc:
        kept = {key: line[key] for key in ("timestamp", "level")}
        return _encode({**kept, "event": f"line not rendered: {type(exc).__name__}"})


def _encode_shortened(line: dict[str, Any]) -> bytes:
    """Return a line with less of its texts and lists, else without structures, else with the event only."""
    data = b""
    for shorter in _list_shorter(line):
        data = end_line(_encode_slowly(shorter))
        if len(data) <= MAX_LOGGED_LINE_BYTES:
            break
    return data


def _list_shorter(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for characters, items in LONG_LINE_CUTS:
        cut = _shorten(line, characters, items)
        yield cut
    yield {key: "…" if isinstance(item, dict | list) else item for key, item in cut.items()}
    yield {**{key: cut[key] for key in _KEPT_FIELDS if key in cut}, **log_fields()}


def _shorten(value: Any, characters: int, items: int) -> Any:
    if isinstance(value, str):
        return cut_text(value, characters)
    if isinstance(value, dict):
        return {key: _shorten(item, characters, items) for key, item in value.items()}
    if isinstance(value, list):
        if len(value) > items:
            # Of frames and causes both ends count.
            half = items // 2
            value = [*value[:half], *value[-half:]]
        return [_shorten(item, characters, items) for item in value]
    return value


def _clean(value: Any) -> Any:
    """Replace what JSON in UTF-8 cannot carry in a value that is otherwise plain."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and value.bit_length() > _MAX_INTEGER_BITS:
        return f"<integer of {value.bit_length()} bits>"
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list) else value


def _separate(
    head: dict[str, Any], event: Mapping[str, Any], fields: dict[str, Any]
) -> dict[str, Any]:
    """Keep a caller's `level=` or `pid=` beside ours, under a name with an underscore at its end."""
    renamed = {f"{key}_" if key in head or key in fields else key: event[key] for key in event}
    return {**head, **renamed, **fields}


def _to_console(value: Any) -> Any:
    plain = to_plain(value) if type(value) not in _PLAIN else value
    if isinstance(plain, str):
        return escape_controls(redact_text(plain))
    return plain if type(plain) in _PLAIN else escape_controls(repr(plain))


def _write_traceback(stream: TextIO, exc_info: Any) -> None:
    text = redact_text("".join(traceback.format_exception(exc_info[1])).rstrip("\n"))
    stream.write("\n" + _UNSAFE_IN_TRACEBACK.sub(_escape, text))
