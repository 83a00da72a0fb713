"""Where in the stream of HTTP/2 frames a client is: what has begun and not ended, and what is no use."""

from __future__ import annotations

from typing import Final

__all__ = ["FrameScanner"]

# RFC 9113 section 4.1: length, type, flags, stream.
_HEAD_BYTES: Final = 9
_PREFACE_BYTES: Final = 24
_DATA: Final = 0
_HEADERS: Final = 1
_CONTINUATION: Final = 9
_END_HEADERS: Final = 4
_OTHER: Final = -1


class FrameScanner:
    """Follows the frames of a client, from the preface on; whether they are right is for the parser."""

    __slots__ = ("_head", "_in_fields", "_kind", "_left", "_stream", "received", "unasked", "units")

    def __init__(self) -> None:
        self.units = 0
        """How often something has ended: a frame, or the fields of a request as a whole."""
        self.unasked = 0
        """Frames that carry neither a request nor content; for others to set back."""
        self.received: dict[int, int] = {}
        """Bytes of content that have come, by stream; for others to begin and to end."""
        self._head = b""
        self._kind = _OTHER
        self._stream = 0
        self._left = _PREFACE_BYTES
        self._in_fields = False

    @property
    def is_within(self) -> bool:
        """Whether something has begun and not ended, content left out."""
        is_open = bool(self._left or self._head) and self._kind != _DATA
        return is_open or self._in_fields

    def feed(self, data: bytes) -> None:
        """Follow what has come."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                if self._kind == _DATA and self._stream in self.received:
                    self.received[self._stream] += step
                if not self._left:
                    self.units += not self._in_fields
                continue
            missing = _HEAD_BYTES - len(self._head)
            self._head += data[at : at + missing]
            at += missing
            self._kind = _OTHER
            if len(self._head) == _HEAD_BYTES:
                self._begin(self._head)
                self._head = b""

    def _begin(self, head: bytes) -> None:
        self._left = int.from_bytes(head[:3], "big")
        self._kind = head[3]
        self._stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        if self._kind in {_HEADERS, _CONTINUATION}:
            self._in_fields = not head[4] & _END_HEADERS
        elif self._kind != _DATA or not self._left:
            self.unasked += 1
        if not self._left:
            self.units += not self._in_fields
