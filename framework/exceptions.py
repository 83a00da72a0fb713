"""All exceptions of the framework.

Exception
 x HTTPException              an answer with an error status
   x JSONDecodeError          a request body that is not JSON: 400 (also a `json.JSONDecodeError`)
   x RequestBodyTooLarge      a request body over its limit: 413
 x WebSocketException         a WebSocket close with a code
 x ClientDisconnect           the client went away while its body was read or answered
 x WebSocketDisconnect        the peer closed the WebSocket
 x NoMatchFound               no route has this name and these parameters
UserWarning
 x StarletteDeprecationWarning
"""

from __future__ import annotations

import http
import json
from collections.abc import Mapping
from typing import Any

__all__ = [
    "ClientDisconnect",
    "HTTPException",
    "JSONDecodeError",
    "NoMatchFound",
    "RequestBodyTooLarge",
    "StarletteDeprecationWarning",
    "WebSocketDisconnect",
    "WebSocketException",
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

    def __init__(self, message: str, position: int = 0) -> None:
        json.JSONDecodeError.__init__(self, message, "", position)
        HTTPException.__init__(self, 400, f"The request body is not valid JSON: {message}.")


class RequestBodyTooLarge(HTTPException):
    """The request body is larger than allowed (RFC 9110 section 15.5.14).

    The rest of the body is not read, so the connection cannot be used again: `Connection: close`.
    """

    def __init__(self, max_body_size: int) -> None:
        super().__init__(413, "Content Too Large", {"Connection": "close"})
        self.max_body_size = max_body_size


class WebSocketException(Exception):
    """Close the WebSocket with `code` (RFC 6455 section 7.4) and `reason`."""

    def __init__(self, code: int, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""

    def __str__(self) -> str:
        return f"{self.code}: {self.reason}"

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(code={self.code!r}, reason={self.reason!r})"


class ClientDisconnect(Exception):
    """The client closed the connection before its request was read or its answer was sent."""


class WebSocketDisconnect(Exception):
    """The peer closed the WebSocket with `code` and `reason`."""

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        self.code = code
        self.reason = reason or ""


class NoMatchFound(Exception):
    """No route answers to this name with exactly these path parameters."""

    def __init__(self, name: str, path_params: Mapping[str, Any]) -> None:
        params = ", ".join(path_params)
        super().__init__(f'No route exists for name "{name}" and params "{params}".')


class StarletteDeprecationWarning(UserWarning):
    """Something that Starlette still offers and will remove; the name is part of its public API."""
