"""Requests for static files, with paths that no client would send."""

from __future__ import annotations

from typing import Any

import pytest

from framework.concurrency import ThreadPool
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


def count_hops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that notes each call in a thread from now on, by the name of the pool."""
    hops: list[str] = []
    run = ThreadPool.run

    async def count(self: ThreadPool, func: Any, *args: Any) -> Any:
        hops.append(self.name)
        return await run(self, func, *args)

    monkeypatch.setattr(ThreadPool, "run", count)
    return hops
