"""`Event`: what is published, and how it looks on its way."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

from framework._defaults import MAX_CHANNEL_EVENT_BYTES, MAX_CHANNEL_TOPIC_BYTES

__all__ = [
    "Event",
    "Kind",
    "check_topic",
    "decode_frame",
    "encode_data",
    "encode_frame",
    "find_id",
]

Kind = Literal["bytes", "text", "json"]

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DIGITS: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_encode_json: Final = msgspec.json.Encoder().encode
_decode_json: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[str, Kind, bytes]).decode


class Event(msgspec.Struct, frozen=True):
    """Something that was published. All subscribers of a process share it.

    Args:
        topic: where it was published.
        id: rises with every event of a back end, whatever the topic; of use as the id of a server-sent
            event, and as `after` when the client comes again.
        kind: what was published: "bytes", "text" (a str) or "json" (anything else).
        raw: the data as bytes: text and JSON in UTF-8.
    """

    topic: str
    id: int
    kind: Kind
    raw: bytes

    @property
    def data(self) -> Any:
        """The data as they were published; JSON is decoded each time, so that nobody shares it."""
        if self.kind == "json":
            return _decode_json(self.raw)
        return self.raw if self.kind == "bytes" else self.raw.decode()

    @property
    def text(self) -> str:
        """Text, or the JSON as text: what a WebSocket or an event stream sends without encoding it again.

        Raises `UnicodeDecodeError` for bytes that are no UTF-8.
        """
        return self.raw.decode()


def encode_data(data: Any) -> tuple[Kind, bytes]:
    """Return kind and bytes of what is published.

    Raises:
        TypeError: the data are neither bytes nor text and have no JSON form (msgspec).
        ValueError: text that is no Unicode (lone surrogates).
    """
    if isinstance(data, str):
        return "text", data.encode()
    if isinstance(data, bytes | bytearray | memoryview):
        return "bytes", bytes(data)
    return "json", _encode_json(data)


def encode_frame(topic: str, data: Any) -> bytes:
    """Return topic and data as they are handed to other processes: msgpack, `[topic, kind, bytes]`.

    Raises:
        TypeError: see `encode_data`.
        ValueError: see `encode_data` and `check_topic`, or more than `MAX_CHANNEL_EVENT_BYTES`.
    """
    check_topic(topic)
    kind, raw = encode_data(data)
    if len(raw) > MAX_CHANNEL_EVENT_BYTES:
        raise ValueError(
            f"an event of {len(raw)} bytes on {topic!r} is over the limit of "
            f"{MAX_CHANNEL_EVENT_BYTES}: publish where the data are instead"
        )
    return _encode((topic, kind, raw))


def decode_frame(frame: bytes, event_id: int) -> Event:
    """Return the event of a frame. Raises `msgspec.DecodeError` when it is none."""
    topic, kind, raw = _decode(frame)
    return Event(topic, event_id, kind, raw)


def check_topic(topic: str) -> None:
    """Raise `ValueError` unless one can publish there."""
    if not topic or "*" in topic or _CONTROL.search(topic):
        raise ValueError(
            f"topic={topic!r} must not be empty and hold neither '*' nor control characters"
        )
    if len(topic.encode()) > MAX_CHANNEL_TOPIC_BYTES:
        raise ValueError(
            f"topic={topic[:50]!r}... is over {MAX_CHANNEL_TOPIC_BYTES} bytes: use a shorter name"
        )


def find_id(text: int | str | None) -> int | None:
    """Return the id that a client has sent, None when it is none of ours."""
    if isinstance(text, str):
        return int(text) if _DIGITS.fullmatch(text) else None
    return text
