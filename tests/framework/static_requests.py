"""Requests for static files, with paths that no client would send."""

from __future__ import annotations

from typing import Any

from framework.exceptions import HTTPException
from framework.types import ASGIApp
from tests.framework.asgi import Channel, build_scope, call


async def get(
    app: ASGIApp, path: str, *headers: tuple[str, str], method: str = "GET", **changes: Any
) -> Channel:
    """Send one request; `path` is what the server has decoded."""
    scope = build_scope("/", method, *headers)
    scope.update(path=path, **changes)
    return await call(app, scope)


async def find_status(app: ASGIApp, path: str, method: str = "GET") -> int:
    """Return the status, also where it is that of an exception."""
    try:
        return (await get(app, path, method=method)).status
    except HTTPException as exc:
        return exc.status_code
