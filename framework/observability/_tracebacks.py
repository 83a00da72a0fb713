"""Exceptions as plain data for a log line: types, messages and frames, never local variables.

The source files are not opened, so this may run on the event loop.
"""

from __future__ import annotations

import traceback
from types import FrameType, TracebackType
from typing import Any, Final

from framework.observability._limits import (
    MAX_LOGGED_EXCEPTIONS,
    MAX_NESTED_TEXT_CHARACTERS,
    MAX_TRACEBACK_FRAMES,
)
from framework.observability._redaction import redact_text

_REPORTED: Final = "_observability_reported"


def mark_reported(exc: BaseException, request_id: str | None = None) -> None:
    """Remember on the exception that it has been logged, and with the id of which request."""
    # Past what its class makes of attributes: a frozen one refuses them.
    vars(exc)[_REPORTED] = request_id or True


def is_reported(exc: BaseException) -> bool:
    """Say whether the exception has been logged."""
    return bool(vars(exc).get(_REPORTED))


def is_reported_for(exc: BaseException, request_id: str) -> bool:
    """Say whether the exception, or each one of a group, has been logged with the id of this request.

    The same instance (a module constant) may be raised by one request after another.
    """
    if vars(exc).get(_REPORTED) == request_id:
        return True
    return isinstance(exc, BaseExceptionGroup) and all(
        is_reported_for(member, request_id) for member in exc.exceptions
    )


def forget_traceback(exc: BaseException) -> None:
    """Let go of the frames of an exception that goes no further, and of the members of a group.

    An instance that is raised again and again (a module constant) would keep those of every request.
    """
    exc.with_traceback(None)
    if isinstance(exc, BaseExceptionGroup):
        for member in exc.exceptions:
            forget_traceback(member)


def describe_exception(exc: BaseException) -> list[dict[str, Any]]:
    """Return the exception followed by what it was raised from, the innermost last.

    An item has `type`, `message`, `frames` (outermost first, each `file`, `line`, `function`), and
    where they exist `notes`, `relation` (`cause` or `context` of the item before) and, for a group,
    `exceptions`: one such list for each member.
    """
    return _describe_chain(exc, set())


def safe_text(value: object) -> str:
    """Return `str(value)`, cut and without secrets, whatever the object does when asked."""
    try:
        text = str(value)
    except Exception as exc:
        return f"<{type(value).__name__}: its text failed with {type(exc).__name__}>"
    return redact_text(cut_text(text))


def cut_text(text: str, characters: int = MAX_NESTED_TEXT_CHARACTERS) -> str:
    """Return the text, with a mark at its end when it had to be shortened."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}… ({len(text)} characters)"


def _describe_chain(exc: BaseException, seen: set[int]) -> list[dict[str, Any]]:
    chain: list[dict[str, Any]] = []
    relation: str | None = None
    current: BaseException | None = exc
    while current is not None and id(current) not in seen and len(seen) < MAX_LOGGED_EXCEPTIONS:
        seen.add(id(current))
        item = _describe_one(current, seen)
        if relation is not None:
            item["relation"] = relation
        chain.append(item)
        if current.__cause__ is not None:
            current, relation = current.__cause__, "cause"
        elif current.__suppress_context__:
            current = None
        else:
            current, relation = current.__context__, "context"
    return chain


def _describe_one(exc: BaseException, seen: set[int]) -> dict[str, Any]:
    kind = type(exc)
    name = kind.__qualname__
    item: dict[str, Any] = {
        "type": name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}",
        "message": safe_text(exc),
        "frames": _list_frames(exc.__traceback__),
    }
    notes = vars(exc).get("__notes__")
    if notes and isinstance(notes, list | tuple):
        item["notes"] = [safe_text(note) for note in notes]
    if isinstance(exc, BaseExceptionGroup):
        item["exceptions"] = [
            described
            for member in exc.exceptions[:MAX_LOGGED_EXCEPTIONS]
            if (described := _describe_chain(member, seen))
        ]
    return item


def list_stack(frame: FrameType) -> list[dict[str, Any]]:
    """Return where a thread is, from the stack of which `frame` is the innermost, as `frames` above."""
    found = [_describe_frame(inner, line) for inner, line in traceback.walk_stack(frame)]
    return _cut_frames(found[::-1])


def _list_frames(trace: TracebackType | None) -> list[dict[str, Any]]:
    return _cut_frames([_describe_frame(*item) for item in traceback.walk_tb(trace)])


def _describe_frame(frame: FrameType, line: int) -> dict[str, Any]:
    code = frame.f_code
    return {"file": code.co_filename, "line": line, "function": code.co_qualname}


def _cut_frames(frames: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if len(frames) > MAX_TRACEBACK_FRAMES:
        half = MAX_TRACEBACK_FRAMES // 2
        left_out = len(frames) - 2 * half
        frames[half:-half] = [{"file": "", "line": 0, "function": f"({left_out} frames left out)"}]
    return frames
