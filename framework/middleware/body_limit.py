"""`RequestBodyLimitMiddleware`: a request body has at most so many bytes."""

from __future__ import annotations

from typing import Any

from framework._exception_handler import answer_handled
from framework.exceptions import RequestBodyTooLarge
from framework.requests import MAX_BODY_SIZE_SCOPE_KEY, Request
from framework.responses import PlainTextResponse
from framework.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "MAX_BODY_SIZE_SCOPE_KEY",
    "RequestBodyLimitMiddleware",
    "RequestBodyLimitResponder",
    "may_have_body",
]

_RESPONDER_SCOPE_KEY = "framework.body_limit_responder"
_MISSING: Any = object()


class RequestBodyLimitMiddleware:
    """Refuse a request whose body is larger than `max_body_size` bytes with 413.

    Bytes received are counted; a `Content-Length` over the limit is refused before anything is read.
    A limit further in (mount, router, route) replaces this one, up or down.
    """

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        if max_body_size < 0:
            raise ValueError(
                f"max_body_size={max_body_size!r} must not be negative; None is no limit"
            )
        self.app = app
        self.max_body_size = max_body_size

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        outer_limit = scope.get(MAX_BODY_SIZE_SCOPE_KEY, _MISSING)
        scope[MAX_BODY_SIZE_SCOPE_KEY] = self.max_body_size
        responder: RequestBodyLimitResponder | None = scope.get(_RESPONDER_SCOPE_KEY)
        app = self.app
        try:
            if responder is not None:
                responder.set_limit(self.max_body_size)
            elif may_have_body(scope):
                app = RequestBodyLimitResponder(app, self.max_body_size)
            await app(scope, receive, send)
        finally:
            if outer_limit is not _MISSING:
                scope[MAX_BODY_SIZE_SCOPE_KEY] = outer_limit
            else:
                scope.pop(MAX_BODY_SIZE_SCOPE_KEY, None)


class RequestBodyLimitResponder:
    """One request under a limit: counts what is received, whoever reads it."""

    __slots__ = (
        "app",
        "content_length",
        "max_body_size",
        "receive",
        "response_started",
        "scope",
        "send",
        "total_size",
    )

    scope: Scope
    receive: Receive
    send: Send

    def __init__(self, app: ASGIApp, max_body_size: int) -> None:
        self.app = app
        self.max_body_size = max_body_size
        self.content_length = 0
        self.total_size = 0
        self.response_started = False

    def set_limit(self, max_body_size: int) -> None:
        """Put another limit in force. Raises `RequestBodyTooLarge` when it is exceeded already."""
        self.max_body_size = max_body_size
        if self.total_size > max_body_size:
            raise RequestBodyTooLarge(max_body_size)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.content_length = _find_content_length(scope)
        scope[_RESPONDER_SCOPE_KEY] = self
        try:
            await self.app(scope, self.receive_with_limit, self.send_with_limit)
        except RequestBodyTooLarge as exc:
            if self.response_started:
                raise
            await self._refuse(exc)
        except _ResponseReplaced:
            pass
        finally:
            scope.pop(_RESPONDER_SCOPE_KEY, None)

    async def receive_with_limit(self) -> Message:
        """Pass a message on. Raises `RequestBodyTooLarge` when the body is over the limit."""
        if self.content_length > self.max_body_size:
            raise RequestBodyTooLarge(self.max_body_size)
        message = await self.receive()
        if message["type"] == "http.request":
            self.total_size += len(message.get("body", b""))
            if self.total_size > self.max_body_size:
                raise RequestBodyTooLarge(self.max_body_size)
        return message

    async def send_with_limit(self, message: Message) -> None:
        """Let no answer but 413 start while the declared length is over the limit; a failure stays one."""
        if message["type"] == "http.response.start":
            self.response_started = True
            is_over = self.content_length > self.max_body_size
            if is_over and message["status"] != 413 and message["status"] < 500:
                await self._refuse(RequestBodyTooLarge(self.max_body_size))
                raise _ResponseReplaced
        await self.send(message)

    async def _refuse(self, exc: RequestBodyTooLarge) -> None:
        request: Request[Any] = Request(self.scope, self.receive, self.send)
        if not await answer_handled(exc, request, self.receive, self.send):
            response = PlainTextResponse(exc.detail, exc.status_code, exc.headers)
            await response(self.scope, self.receive, self.send)


class _ResponseReplaced(Exception):
    """413 was sent instead of the application's answer: unwind to the responder."""


def may_have_body(scope: Scope) -> bool:
    """Tell whether a request can bring a body, so that a limit has something to count.

    HTTP/1.1 frames a body by one of two fields (RFC 9112 section 6.3), later versions need neither.
    Only GET and HEAD, which have none as a rule, are looked at.
    """
    if scope["method"] not in ("GET", "HEAD") or not scope.get("http_version", "").startswith("1"):
        return True
    for name, _ in scope["headers"]:
        if name == b"content-length" or name == b"transfer-encoding":  # noqa: PLR1714 - PERF
            return True
    return False


def _find_content_length(scope: Scope) -> int:
    """Return the declared length, 0 when there is none or it is not a number (the server's concern)."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            # More than 18 digits is over every limit, and too long for int() to be safe.
            digits: bytes = value if len(value) <= 18 else b"9" * 18
            return int(digits) if digits.isdigit() else 0
    return 0
