"""`ServerErrorMiddleware`: the last resort, a 500 for whatever nobody handled."""

from __future__ import annotations

import inspect
import traceback
from typing import Any

from framework._callables import is_async_callable
from framework._defaults import DEBUG_PAGE_CONTEXT_LINES, DEBUG_PAGE_FRAMES
from framework._exception_handler import STARTED_SCOPE_KEY, TrackedSend
from framework.concurrency import file_threads, run_in_threadpool
from framework.exceptions import HTTPException, RequestBodyTooLarge
from framework.middleware._refusals import answer_refusal
from framework.middleware.exceptions import INNER_SEND_SCOPE_KEY
from framework.requests import MAX_BODY_SIZE_SCOPE_KEY, Request
from framework.responses import HTMLResponse, PlainTextResponse, Response
from framework.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

__all__ = ["ServerErrorMiddleware"]

# What `html.escape` does; that module also loads the names of two thousand characters.
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; overflow-wrap: anywhere; }
details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent);
  border-radius: 8px; margin: .6rem 0; }
summary { padding: .5rem .8rem; cursor: pointer; overflow-wrap: anywhere; }
pre { margin: 0; padding: .5rem .8rem; overflow-x: auto; font-size: .85rem; }
mark { background: #d9304f; color: #fff; }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head><body>
<h1>{title}</h1>
<p>Innermost frame first. This page is shown because the application runs with <code>debug</code>;
without it the answer is a bare 500.</p>
{frames}
<details><summary>Plain traceback</summary><pre>{plain}</pre></details>
</body></html>
"""

# The page has no need of anything but its style, whose digest this is: a test compares the two.
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "style-src 'sha256-jZWb3YSrSm4nLP6Et3sC3/RgD9uUsMCphw2bq6WKGrU='"
)

_FRAME = """<details{opened}><summary><code>{file}</code>, line {line}, in <b>{function}</b></summary>
<pre>{source}</pre></details>"""


class ServerErrorMiddleware:
    """The outermost layer of a stack.

    An exception that reaches it is answered with 500 (the debug page, or what `handler` returns), and
    raised again: the server logs it, a test client shows it. Once a response was started (a stream or a
    background task has failed) `handler` is called all the same, to report, and its answer is not sent.
    An `HTTPException` of middleware is answered as that of a route is, and not raised again. What is
    answered is sent through the application's own middleware, so that CORS headers are on it.
    """

    def __init__(
        self, app: ASGIApp, handler: ExceptionHandler | None = None, debug: bool = False
    ) -> None:
        self.app = app
        self.handler = handler
        self.debug = debug

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # What was begun further in and never comes out here does not count.
        tracked = TrackedSend(send)
        failure: Exception | None = None
        inner_send: list[Send] = [tracked]
        scope[INNER_SEND_SCOPE_KEY] = inner_send
        try:
            try:
                await self.app(scope, receive, tracked)
            except HTTPException as exc:
                # Of middleware: what a route raises is answered further in.
                if tracked.started or _is_of_outer_limit(exc, scope):
                    raise
                scope[STARTED_SCOPE_KEY] = False
                answer = _KeptAnswer(inner_send[0], tracked)
                await answer_refusal(exc, scope, receive, answer)
                failure = answer.failure
                if failure is None:
                    await answer.release()
            # Out here, so that it keeps its own context.
            if failure is not None:
                raise failure
        except Exception as exc:
            if not tracked.started and _is_of_outer_limit(exc, scope):
                raise
            scope[STARTED_SCOPE_KEY] = tracked.started
            await self.answer(exc, scope, receive, inner_send[0], tracked)
            raise
        finally:
            # What middleware sends through mostly knows the scope: no cycle is left to the collector.
            inner_send[0] = send

    async def answer(
        self,
        exc: Exception,
        scope: Scope,
        receive: Receive,
        send: Send,
        outermost: TrackedSend | None = None,
    ) -> None:
        """Send the 500 for `exc`; where a response was begun before it failed, only call the handler.

        Args:
            outermost: takes the answer that does not come out of `send`: a layer fails with it, or
                keeps it.
        """
        has_started = scope.get(STARTED_SCOPE_KEY, False)
        if has_started and (self.debug or self.handler is None):
            return
        scope[STARTED_SCOPE_KEY] = True
        request: Request[Any] = Request(scope)
        if self.debug:
            # Reading source files blocks: not on the event loop.
            response = await file_threads.run(self.debug_response, request, exc)
        elif self.handler is None:
            response = self.error_response(request, exc)
        elif is_async_callable(self.handler):
            response = await self.handler(request, exc)
        else:
            response = await run_in_threadpool(self.handler, request, exc)
        if has_started:
            return
        if outermost is None:
            await response(scope, receive, send)
            return
        answer = _KeptAnswer(send, outermost)
        try:
            await response(scope, receive, answer)
        except Exception:
            # Begun and broken off, as when the client has gone: `exc` is raised again and tells more.
            await answer.release()
            if not outermost.started:
                raise
        await answer.release()

    def debug_response(self, request: Request[Any], exc: Exception) -> Response:
        """Return the traceback, as a page to browsers and as text to everything else."""
        if "text/html" in request.headers.get("accept", ""):
            headers = {"content-security-policy": _POLICY}
            return HTMLResponse(self.generate_html(exc), status_code=500, headers=headers)
        return PlainTextResponse(self.generate_plain_text(exc), status_code=500)

    def error_response(self, request: Request[Any], exc: Exception) -> Response:
        """Return the answer that tells nothing."""
        return PlainTextResponse("Internal Server Error", status_code=500)

    def generate_html(self, exc: Exception, limit: int = DEBUG_PAGE_CONTEXT_LINES) -> str:
        """Return the debug page; everything that comes from the exception is escaped."""
        frames = inspect.getinnerframes(exc.__traceback__, limit) if exc.__traceback__ else []
        innermost_first = frames[: -DEBUG_PAGE_FRAMES - 1 : -1]
        shown = [
            self.generate_frame_html(frame, is_collapsed=position > 0)
            for position, frame in enumerate(innermost_first)
        ]
        title = "".join(traceback.format_exception_only(exc)).strip()
        return _PAGE.format(
            title=_escape(title),
            style=_STYLE,
            frames="\n".join(shown),
            plain=_escape(self.generate_plain_text(exc)),
        )

    def generate_frame_html(self, frame: inspect.FrameInfo, is_collapsed: bool) -> str:
        """Return one frame with the source around its line."""
        first = frame.lineno - (frame.index or 0)
        lines = []
        for number, text in enumerate(frame.code_context or [], start=first):
            line = f"{number:5} {_escape(text.rstrip())}"
            lines.append(f"<mark>{line}</mark>" if number == frame.lineno else line)
        return _FRAME.format(
            opened="" if is_collapsed else " open",
            file=_escape(frame.filename),
            line=frame.lineno,
            function=_escape(frame.function),
            source="\n".join(lines),
        )

    def generate_plain_text(self, exc: Exception) -> str:
        """Return the traceback as the interpreter prints it."""
        return "".join(traceback.format_exception(exc))


class _KeptAnswer:
    """Sends an answer through the layers, and has it still where it does not come out of them.

    A layer may fail with it, or keep it. The answer is made once: it may be a stream, and have a task.
    """

    __slots__ = ("_messages", "_outermost", "_send", "failure")

    def __init__(self, send: Send, outermost: TrackedSend) -> None:
        self._send = send
        self._outermost = outermost
        self._messages: list[Message] = []
        self.failure: Exception | None = None

    async def __call__(self, message: Message) -> None:
        if not self._outermost.started:
            self._messages.append(message)
        if self.failure is not None:
            return
        try:
            await self._send(message)
        except Exception as exc:
            if self._outermost.started:
                raise
            self.failure = exc

    async def release(self) -> None:
        """Send past the layers what has not come out of them."""
        if not self._outermost.started:
            for message in self._messages:
                await self._outermost(message)


def _is_of_outer_limit(exc: Exception, scope: Scope) -> bool:
    """Tell whether a body is over the limit of an application around this one, which answers 413."""
    return isinstance(exc, RequestBodyTooLarge) and MAX_BODY_SIZE_SCOPE_KEY in scope


def _escape(text: str) -> str:
    return text.translate(_ENTITIES)
