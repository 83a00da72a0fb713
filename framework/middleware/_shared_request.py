"""`SharedRequest`: the request of `dispatch`."""

from __future__ import annotations

from typing import Any

from framework.requests import Request
from framework.types import Message


class SharedRequest(Request[Any]):
    """The request of `dispatch`, whose body the application below can read as well."""

    _is_started = False
    _is_replayed = False

    def rewind(self) -> None:
        """Let another application read the body that one has read, if it is held."""
        self._is_replayed = self._is_replayed and not hasattr(self, "_body")

    async def receive_once(self) -> Message:
        """Return the next message for the application below.

        A body that was read here comes whole; one that was streamed here is empty.
        """
        if not self._is_replayed and (self._stream_consumed or hasattr(self, "_body")):
            self._is_replayed = True
            return {
                "type": "http.request",
                "body": getattr(self, "_body", b""),
                "more_body": False,
            }
        if self._held:
            message, *self._held = self._held
        elif self._is_disconnected:
            return {"type": "http.disconnect"}
        else:
            message = await self._receive()
        if message["type"] == "http.disconnect":
            self._is_disconnected = True
        elif not message.get("more_body", False):
            if not self._stream_consumed and not self._is_started:
                # It came in one piece: keep it, then it can be read here after `call_next`.
                self._body = message.get("body", b"")
            self._stream_consumed = self._is_replayed = True
        self._is_started = True
        return message
