"""All exceptions of the framework.

Exception
 x HTTPException              an answer with an error status
   x JSONDecodeError          a request body that is not JSON: 400 (also a `json.JSONDecodeError`)
   x RequestBodyTooLarge      a request body over its limit: 413
   x MultiPartException       a form that is malformed or over a limit: 400
   x TooManyTasks             an application task beyond what may run and wait: 503
   x ChannelsUnavailable      an event could not be published in time: 503
 x WebSocketException         a WebSocket close with a code
   x UnexpectedFrame          a text frame came where a binary one was wanted, or the reverse: 1003
   x WebSocketJSONDecodeError a frame that is not JSON: 1007 (also a `json.JSONDecodeError`)
 x ClientDisconnect           the client went away while its body was read or answered
 x WebSocketDisconnect        the peer closed the WebSocket
 x NoMatchFound               no route has this name and these parameters
 x MalformedRangeHeader       a `Range` field that names no range: 400
 x RangeNotSatisfiable        a `Range` field whose ranges lie beyond the end: 416
RuntimeError
 x MissingMiddleware          what a middleware provides is read without it (also an `AssertionError`)
 x WebSocketDisconnected      a WebSocket is used before it is open or after its end
UserWarning
 x StarletteDeprecationWarning
"""

from __future__ import annotations

import http
import json
from collections.abc import Mapping
from typing import Any

__all__ = [
    "ChannelsUnavailable",
    "ClientDisconnect",
    "HTTPException",
    "JSONDecodeError",
    "MalformedRangeHeader",
    "MissingMiddleware",
    "NoMatchFound",
    "RangeNotSatisfiable",
    "RequestBodyTooLarge",
    "StarletteDeprecationWarning",
    "TooManyTasks",
    "UnexpectedFrame",
    "WebSocketDisconnect",
    "WebSocketDisconnected",
    "WebSocketException",
    "WebSocketJSONDecodeError",
]


class HTTPException(Exception):
    """Answer the request with an error status.

    Args:
        status_code: the status of the answer; 204 and 304 are answered without a body.
        detail: the text of the answer; the standard phrase of the status when not given.
        headers: fields to add to the answer.
    """

    def __init__(
        self,
        status_code: int,
        detail: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if detail is None:
            detail = _PHRASES.get(status_code, "")
        self.status_code = status_code
        self.detail = detail
        self.headers = headers

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"

    def __repr__(self) -> str:
        name = self.__class__.__name__
        return f"{name}(status_code={self.status_code!r}, detail={self.detail!r})"


_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}


class JSONDecodeError(HTTPException, json.JSONDecodeError):
    """The request body is not JSON (RFC 8259): answered with 400 unless the endpoint catches it.

    It is a `json.JSONDecodeError` too, so code that expects that from `request.json()` keeps working.
    `doc` stays empty: the body belongs to the client and must not reach a log through an exception.
    """

    def __init__(self, message: str, position: int = 0, where: str = "") -> None:
        json.JSONDecodeError.__init__(self, message, "", position)
        HTTPException.__init__(self, 400, f"The request body is not valid JSON: {message}{where}.")


class RequestBodyTooLarge(HTTPException):
    """The request body is larger than allowed (RFC 9110 section 15.5.14).

    The rest of the body is not read, so the connection cannot be used again: `Connection: close`.
    """

    def __init__(self, max_body_size: int) -> None:
        super().__init__(413, "Content Too Large", {"Connection": "close"})
        self.max_body_size = max_body_size


class MultiPartException(HTTPException):
    """A form is malformed, cut off or over a limit: answered with 400 unless the endpoint catches it."""

    def __init__(self, message: str) -> None:
        super().__init__(400, message)
        self.message = message


class TooManyTasks(HTTPException):
    """`app.tasks` has as many tasks as may run and wait: answered with 503 unless it is caught.

    The task is not started. Args: its name, and the two limits.
    """

    def __init__(self, name: str, max_running: int, max_waiting: int) -> None:
        super().__init__(503, headers={"Retry-After": "1"})
        self.name = name
        self.max_running = max_running
        self.max_waiting = max_waiting

    def __str__(self) -> str:
        return (
            f"Task {self.name!r} is refused: {self.max_running} tasks run and {self.max_waiting} wait. "
            "Start fewer, or set max_running or max_waiting of the TaskSupervisor"
        )


class ChannelsUnavailable(HTTPException):
    """An event could not be published in time: answered with 503 unless it is caught.

    Perhaps some get it, perhaps nobody. Args: why; the client is not told.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(503, headers={"Retry-After": "5"})
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class WebSocketException(Exception):
    """Close the WebSocket with `code` (RFC 6455 section 7.4) and `reason`."""

    def __init__(self, code: int, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(code={self.code!r}, reason={self.reason!r})"


class UnexpectedFrame(WebSocketException, KeyError):
    """The peer sent a text frame where a binary one was wanted, or the reverse: closes with 1003.

    It is a `KeyError` too, which is what Starlette raises here.
    """

    def __init__(self, wanted: str) -> None:
        super().__init__(1003, f"A {wanted} frame is expected here.")


class WebSocketJSONDecodeError(WebSocketException, json.JSONDecodeError):
    """The frame is not JSON (RFC 8259): closes with 1007 unless the endpoint catches it.

    It is a `json.JSONDecodeError` too. `doc` stays empty: the frame belongs to the client and must not
    reach a log through an exception.
    """

    def __init__(self, message: str) -> None:
        json.JSONDecodeError.__init__(self, message, "", 0)
        WebSocketException.__init__(self, 1007, "The frame is not valid JSON.")


class ClientDisconnect(Exception):
    """The client closed the connection before its request was read or its answer was sent."""


class WebSocketDisconnect(Exception):
    """The peer closed the WebSocket with `code` and `reason`."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""


class MissingMiddleware(RuntimeError, AssertionError):
    """A connection has no `key`, such as `session`, since the `middleware` that provides it is not there.

    It is an `AssertionError` too: applications catch that to find out whether there are sessions.
    """

    def __init__(self, key: str, middleware: str) -> None:
        super().__init__(f"request.{key} needs {middleware} in the app's middleware")


class WebSocketDisconnected(RuntimeError):
    """A WebSocket was used before it was accepted, or after it had ended."""


class NoMatchFound(Exception):
    """No route answers to this name with exactly these path parameters."""

    def __init__(self, name: str, path_params: Mapping[str, Any]) -> None:
        params = ", ".join(path_params)
        super().__init__(f'No route exists for name "{name}" and params "{params}".')


class MalformedRangeHeader(Exception):
    """A `Range` field cannot be understood; `content` says why. A `FileResponse` answers with 400."""

    def __init__(self, content: str = "Malformed range header.") -> None:
        super().__init__(content)
        self.content = content


class RangeNotSatisfiable(Exception):
    """All ranges lie beyond the `max_size` bytes there are. A `FileResponse` answers with 416."""

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size)
        self.max_size = max_size


class StarletteDeprecationWarning(UserWarning):
    """Something that Starlette still offers and will remove; the name is part of its public API."""
