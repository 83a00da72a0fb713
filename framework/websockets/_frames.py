"""What a frame holds: text, bytes, or JSON in either; and messages that have no place."""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from framework.exceptions import (
    UnexpectedFrame,
    WebSocketDisconnect,
    WebSocketJSONDecodeError,
)
from framework.types import Message

_parse_json = msgspec.json.Decoder().decode


def take_text(message: Message) -> str:
    """Return the text of a frame.

    Raises:
        UnexpectedFrame: the frame is binary.
        WebSocketDisconnect: it is no frame, the client has gone.
    """
    text: str | None = message.get("text")
    if text is None:
        raise_on_disconnect(message)
        raise UnexpectedFrame("text")
    return text


def take_bytes(message: Message) -> bytes:
    """Return the bytes of a frame. Raises as `take_text` does."""
    data: bytes | None = message.get("bytes")
    if data is None:
        raise_on_disconnect(message)
        raise UnexpectedFrame("binary")
    return data


def take_either(message: Message) -> str | bytes:
    """Return what a frame holds."""
    text: str | None = message.get("text")
    return take_bytes(message) if text is None else text


def take_json(message: Message) -> Any:
    """Return the value of a frame of either kind. Raises `WebSocketJSONDecodeError`."""
    return parse_json(take_either(message))


def take_json_text(message: Message) -> Any:
    """Return the value of a text frame. Raises as `take_text` and `parse_json` do."""
    return parse_json(take_text(message))


def parse_json(data: str | bytes) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Raises:
        WebSocketJSONDecodeError: it is none.
    """
    try:
        return _parse_json(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise WebSocketJSONDecodeError(str(exc)) from None


def raise_on_disconnect(message: Message) -> None:
    """Raise `WebSocketDisconnect` for the message that says that the client has gone."""
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005), message.get("reason"))


def refuse_message(message: Message, *expected: str) -> NoReturn:
    """Raise `RuntimeError` for a message that has no place now."""
    names = " or ".join(f'"{name}"' for name in expected)
    raise RuntimeError(f"Expected ASGI message {names}, but got {message['type']!r}")


def check_mode(mode: str) -> None:
    """Raise `RuntimeError` for a kind of frame that there is not."""
    if mode not in ("text", "binary"):
        raise RuntimeError(f"mode={mode!r} is neither 'text' nor 'binary'")
