"""What an event stream is known by: it lasts as long as its client stays, which is no fault of a request."""

from __future__ import annotations

from framework.types import Message


def is_event_stream(start: Message) -> bool:
    """Say whether the message `http.response.start` begins server-sent events."""
    for name, value in start.get("headers", ()):
        if name == b"content-type":
            is_stream: bool = value.startswith(b"text/event-stream")
            return is_stream
    return False
