"""The two answers that a router gives itself: 404 for an unknown path, 405 for a known one."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Collection

from framework._exception_handler import HANDLERS_SCOPE_KEY, answer_handled
from framework.exceptions import HTTPException
from framework.middleware.exceptions import http_exception
from framework.requests import Request
from framework.responses import PlainTextResponse
from framework.types import Receive, Scope, Send

__all__ = [
    "answer_refusal",
    "build_method_refusal",
    "refuse",
]


def build_method_refusal(methods: Collection[str]) -> HTTPException:
    """Return the 405 of a path that answers to `methods` only; `Allow` has a stable order."""
    return HTTPException(405, headers={"Allow": ", ".join(sorted(methods))})


def _build_refusal(status_code: int, methods: frozenset[str] | None) -> HTTPException:
    return HTTPException(status_code) if methods is None else build_method_refusal(methods)


async def refuse(exc: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `exc` in plain text. Raises it below an application, whose handlers answer it."""
    if "app" in scope:
        raise exc
    await PlainTextResponse(exc.detail, exc.status_code, exc.headers)(scope, receive, send)


def answer_refusal(
    status_code: int, methods: frozenset[str] | None, scope: Scope, receive: Receive, send: Send
) -> Awaitable[None]:
    """Answer 404, or 405 for `methods`, right below the exception handlers of an application.

    PERF: raising an exception through the frames that lead to the same handler costs more than a whole
    hit, and so does building the default answer anew; neither can be told apart from outside.
    """
    by_class, by_status = scope[HANDLERS_SCOPE_KEY]
    if by_class.get(HTTPException) is http_exception and status_code not in by_status:
        return _default_answer(status_code, methods).send(send)
    return _answer_or_raise(_build_refusal(status_code, methods), scope, receive, send)


async def _answer_or_raise(exc: HTTPException, scope: Scope, receive: Receive, send: Send) -> None:
    if not await answer_handled(exc, Request(scope, receive, send), receive, send):
        raise exc


class _Answer:
    __slots__ = ("body", "headers", "status_code")

    def __init__(self, response: PlainTextResponse) -> None:
        self.status_code = response.status_code
        self.headers = tuple(response.raw_headers)
        self.body = response.body

    async def send(self, send: Send) -> None:
        # A list of its own for each response: middleware adds fields to it.
        headers = list(self.headers)
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


@functools.lru_cache(maxsize=256)
def _default_answer(status_code: int, methods: frozenset[str] | None) -> _Answer:
    exc = _build_refusal(status_code, methods)
    return _Answer(PlainTextResponse(exc.detail, exc.status_code, exc.headers))
