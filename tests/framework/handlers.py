"""Endpoints, handlers and middleware that tests of applications share."""

from __future__ import annotations

from typing import Any

from framework.exceptions import HTTPException
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse, Response
from framework.types import ASGIApp, Message, Receive, Scope, Send


class KnownError(Exception):
    """An error that has a handler."""


async def home(request: Request[Any]) -> Response:
    return PlainTextResponse("home")


async def broken(request: Request[Any]) -> Response:
    raise LookupError("broken")


async def known(request: Request[Any]) -> Response:
    raise KnownError("known")


async def refused(request: Request[Any]) -> Response:
    raise HTTPException(403, "No")


def on_known(request: Request[Any], exc: KnownError) -> Response:
    return PlainTextResponse(f"handled {exc}", 422)


async def answer_problem(request: Request[Any], exc: HTTPException) -> Response:
    return JSONResponse({"status": exc.status_code}, exc.status_code, exc.headers)


class AddHeader:
    """Pure ASGI middleware that adds a header field to every answer."""

    def __init__(self, app: ASGIApp, name: str = "x-added") -> None:
        self.app = app
        self.name = name.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (self.name, b"yes")]
            await send(message)

        await self.app(scope, receive, add)
