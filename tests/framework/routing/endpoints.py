"""Endpoints that say who they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from framework.requests import Request
from framework.responses import PlainTextResponse, Response
from tests.framework.asgi import build_scope, call


def answer(text: str) -> Callable[[Request[Any]], Any]:
    """Return an endpoint that answers with a text and the parameters."""

    async def endpoint(request: Request[Any]) -> Response:
        return PlainTextResponse(f"{text} {dict(request.path_params)}")

    return endpoint


async def fetch(app: Any, path: str, method: str = "GET") -> str:
    channel = await call(app, build_scope(path, method))
    return f"{channel.status} {channel.body.decode()}"
