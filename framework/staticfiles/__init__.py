"""`StaticFiles`: the files below directories, as an ASGI application."""

from __future__ import annotations

from framework.staticfiles._directories import PathLike as PathLike
from framework.staticfiles._responses import NotModifiedResponse
from framework.staticfiles.application import StaticFiles

__all__ = [
    "NotModifiedResponse",
    "StaticFiles",
]
