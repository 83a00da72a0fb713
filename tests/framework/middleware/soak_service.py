"""An application inside three `BaseHTTPMiddleware`, and a server for it: the subject of the soak."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import uvicorn

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from framework.routing import Route

VARIABLE: ContextVar[str] = ContextVar("VARIABLE")


async def mark(request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["x-mark"] = "yes"
    return response


async def remember(request: Request[Any], call_next: RequestResponseEndpoint) -> Response:
    token = VARIABLE.set(request.url.path)
    try:
        return await call_next(request)
    finally:
        VARIABLE.reset(token)


class Wrap(BaseHTTPMiddleware):
    async def dispatch(self, request: Request[Any], call_next: RequestResponseEndpoint) -> Any:
        response: Any = await call_next(request)
        if request.url.path == "/stream":
            response.body_iterator = self.copy(response.body_iterator)
        return response

    async def copy(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            yield chunk


async def quick(request: Request[Any]) -> Response:
    return PlainTextResponse("quick")


async def slow(request: Request[Any]) -> Response:
    for _ in range(3):
        await asyncio.sleep(0)
        if await request.is_disconnected():
            break
    return PlainTextResponse("slow")


async def stream(request: Request[Any]) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"chunk"
            await asyncio.sleep(0)

    return StreamingResponse(chunks())


def build_app() -> App:
    """Build the application of both soaks."""
    return App(
        routes=[Route(f"/{each.__name__}", each) for each in (quick, slow, stream, measure)],
        middleware=[
            Middleware(BaseHTTPMiddleware, dispatch=mark),
            Middleware(Wrap),
            Middleware(BaseHTTPMiddleware, dispatch=remember),
        ],
    )


async def measure(request: Request[Any]) -> Response:
    return JSONResponse({**count(), "tasks": len(asyncio.all_tasks())})


def count() -> dict[str, int]:
    """Count what is alive: objects that the collector knows, and blocks of memory."""
    gc.collect()
    return {"objects": len(gc.get_objects()), "blocks": sys.getallocatedblocks()}


def main() -> None:
    """Serve on a free port, which is the first line that is printed."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    config = uvicorn.Config(build_app(), log_level="error", access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
