"""Responses: ASGI applications that send one answer."""

from __future__ import annotations

from mimetypes import guess_type

from framework.exceptions import MalformedRangeHeader, RangeNotSatisfiable
from framework.responses.base import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from framework.responses.files import FileResponse
from framework.responses.sse import EventSourceResponse, ServerSentEvent
from framework.responses.streaming import (
    AsyncContentStream,
    Content,
    ContentStream,
    StreamingResponse,
    SyncContentStream,
)

__all__ = [
    "AsyncContentStream",
    "Content",
    "ContentStream",
    "EventSourceResponse",
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "MalformedRangeHeader",
    "PlainTextResponse",
    "RangeNotSatisfiable",
    "RedirectResponse",
    "Response",
    "ServerSentEvent",
    "StreamingResponse",
    "SyncContentStream",
    "guess_type",
]
