"""Applications and `dispatch` functions of many kinds: each has to go with each."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import anyio
import anyio.lowlevel

from framework.middleware.base import RequestResponseEndpoint
from framework.responses import PlainTextResponse, Response, StreamingResponse
from framework.types import Message, Receive, Scope, Send

VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="unset")
Dispatch = Callable[[Any, RequestResponseEndpoint], Awaitable[Response]]


async def plain(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("plain")(scope, receive, send)


async def stream(scope: Scope, receive: Receive, send: Send) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b"one", b"two", b"three"):
            yield chunk
            await anyio.lowlevel.checkpoint()

    await StreamingResponse(chunks())(scope, receive, send)


async def nested(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer from a child task, inside a time limit, as many foreign responses do."""
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stream, scope, receive, send)


async def in_scope(scope: Scope, receive: Receive, send: Send) -> None:
    with anyio.fail_after(10):
        await plain(scope, receive, send)


async def stream_in_scope(scope: Scope, receive: Receive, send: Send) -> None:
    with anyio.fail_after(10):
        await stream(scope, receive, send)


async def send_in_scopes(scope: Scope, receive: Receive, send: Send) -> None:
    async def limited(message: Message) -> None:
        with anyio.fail_after(10):
            await send(message)

    await stream(scope, receive, limited)


APPS = {
    plain: b"plain",
    stream: b"onetwothree",
    nested: b"onetwothree",
    in_scope: b"plain",
    stream_in_scope: b"onetwothree",
    send_in_scopes: b"onetwothree",
}


async def pass_on(request: Any, call_next: RequestResponseEndpoint) -> Response:
    return await call_next(request)


async def change(request: Any, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers["x-changed"] = "yes"
    response.status_code = 202
    return response


async def limit(request: Any, call_next: RequestResponseEndpoint) -> Response:
    with anyio.fail_after(10):
        return await call_next(request)


async def group(request: Any, call_next: RequestResponseEndpoint) -> Response:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.lowlevel.checkpoint)
        response = await call_next(request)
    return response  # noqa: RET504  -- behind the group


async def from_child(request: Any, call_next: RequestResponseEndpoint) -> Response:
    responses: list[Response] = []

    async def work() -> None:
        responses.append(await call_next(request))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
    return responses[0]


async def read_whole(request: Any, call_next: RequestResponseEndpoint) -> Response:
    response: Any = await call_next(request)
    with anyio.fail_after(10):
        body = b"".join([chunk async for chunk in response.body_iterator])
    return Response(body, response.status_code)


async def wrap(request: Any, call_next: RequestResponseEndpoint) -> Any:
    response: Any = await call_next(request)
    inner = response.body_iterator

    async def chunks() -> AsyncIterator[bytes]:
        async for chunk in inner:
            yield chunk

    response.body_iterator = chunks()
    return response


async def replace(request: Any, call_next: RequestResponseEndpoint) -> Response:
    response: Any = await call_next(request)
    return StreamingResponse(response.body_iterator, response.status_code)


async def token(request: Any, call_next: RequestResponseEndpoint) -> Response:
    mark = VARIABLE.set("dispatch")
    try:
        return await call_next(request)
    finally:
        VARIABLE.reset(mark)


DISPATCHES = (pass_on, change, limit, group, from_child, read_whole, wrap, replace, token)
