"""`BaseHTTPMiddleware`: what `dispatch` may do with the request and the response."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio

from tests.compat.harness import Case, Request


async def upper(chunks: Any) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.upper()


async def finish(names: Any, path: str, response: Any) -> Any:
    if path == "/late":
        raise KeyError("late")
    if path == "/status":
        response.status_code = 202
        response.background = names.BackgroundTask(names.notes.append, "outer")
    if path == "/replace":
        return names.PlainTextResponse("replaced", headers={"x-old": str(response.status_code)})
    if path in {"/whole", "/chunks"}:
        chunks = [chunk async for chunk in response.body_iterator]
        return names.Response(b"|".join(chunks), headers=dict(response.headers) | {"a": "b"})
    if path == "/wrapped":
        response.body_iterator = upper(response.body_iterator)
    return response


def build_endpoints(names: Any) -> tuple[Any, ...]:
    """Return endpoints that answer with the body, stream, fail and refuse."""

    async def echo(request: Any) -> Any:
        body = await request.body()
        work = names.BackgroundTask(names.notes.append, "inner")
        return names.PlainTextResponse(b"got " + body, background=work)

    async def stream(request: Any) -> Any:
        return names.StreamingResponse(iter([b"one", b"two"]), media_type="text/plain")

    async def broken(request: Any) -> Any:
        raise ValueError("broken")

    async def refused(request: Any) -> Any:
        raise names.HTTPException(403)

    return echo, stream, broken, refused


def build_dispatching(names: Any) -> Any:
    """Build an application whose middleware does what the path says, between two that add a field."""

    class Mark(names.BaseHTTPMiddleware):  # type: ignore[misc]  # of either library
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers.append("x-mark", request.url.path)
            return response

    async def act(request: Any, call_next: Any) -> Any:
        path = request.url.path
        if path == "/short":
            return names.PlainTextResponse("short")
        if path == "/read":
            names.notes.append((await request.body()).decode())
        if path == "/drained":
            names.notes.append(str([chunk async for chunk in request.stream()]))
        try:
            if path.startswith("/limited"):
                with anyio.fail_after(5):
                    response = await call_next(request)
            else:
                response = await call_next(request)
        except ValueError as exc:
            return names.PlainTextResponse(f"caught {exc}", status_code=422)
        return await finish(names, path, response)

    echo, stream, broken, refused = build_endpoints(names)
    endpoints = {
        **dict.fromkeys(("/", "/short", "/read", "/drained", "/status", "/limited"), echo),
        **dict.fromkeys(("/replace", "/late", "/whole-echo"), echo),
        **dict.fromkeys(("/chunks", "/wrapped", "/stream", "/limited-stream"), stream),
        "/broken": broken,
        "/refused": refused,
    }
    return names.App(
        routes=[
            names.Route(path, each, methods=["GET", "POST"]) for path, each in endpoints.items()
        ],
        middleware=[
            names.Middleware(Mark),
            names.Middleware(names.BaseHTTPMiddleware, dispatch=act),
            names.Middleware(Mark),
        ],
    )


CASES = (
    Case(
        "dispatch",
        build_dispatching,
        tuple(
            Request(path, "POST", body=(b"some ", b"body"))
            for path in (
                *("/", "/short", "/read", "/drained", "/status", "/replace", "/late", "/chunks"),
                *("/wrapped", "/stream", "/broken", "/refused", "/missing"),
                *("/limited", "/limited-stream"),
            )
        ),
    ),
)
