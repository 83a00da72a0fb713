"""`BaseHTTPMiddleware`: stacks of layers of many kinds do what they do on Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings, strategies as st

from tests.compat.harness import load_names, read_messages
from tests.framework.asgi import Channel, build_scope

BODY = (b"in ", b"parts")


class Refused(Exception):
    """What applications and layers raise."""


@dataclass(frozen=True)
class Application:
    """An application that answers, or does not, in one of many ways."""

    names: Any
    kind: str

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.names.notes.append(f"application {self.kind}")
        if self.kind == "raises":
            raise Refused("application")
        if self.kind == "echo":
            body = await self.names.Request(scope, receive).body()
            await self.names.Response(body)(scope, receive, send)
        elif self.kind == "slow":
            await anyio.lowlevel.checkpoint()
            await self.names.PlainTextResponse("slow")(scope, receive, send)
            await anyio.lowlevel.checkpoint()
        elif self.kind == "stream":
            await self.names.StreamingResponse(stream())(scope, receive, send)
        elif self.kind == "empty":
            await self.names.Response(status_code=204)(scope, receive, send)
        elif self.kind == "child":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.names.PlainTextResponse("child"), scope, receive, send)
        elif self.kind == "background":
            task = self.names.BackgroundTask(note, self.names, "background of the application")
            await self.names.PlainTextResponse("first", background=task)(scope, receive, send)


async def stream() -> AsyncIterator[bytes]:
    for chunk in (b"one", b"two"):
        yield chunk
        await anyio.lowlevel.checkpoint()


async def note(names: Any, text: str) -> None:
    names.notes.append(text)


@dataclass(frozen=True)
class Layer:
    """The `dispatch` of one layer: what it does before, around and after `call_next`."""

    names: Any
    kind: str
    name: str

    async def __call__(self, request: Any, call_next: Any) -> Any:
        self.names.notes.append(f"{self.name} {self.kind}")
        if self.kind == "raises before":
            raise Refused(self.name)
        if self.kind == "answers":
            return self.names.PlainTextResponse(self.name, 203)
        if self.kind == "reads before":
            self.names.notes.append((await request.body()).decode())
        try:
            response = await self.call(request, call_next)
        except Refused as exc:
            if self.kind != "catches":
                raise
            return self.names.PlainTextResponse(f"{self.name} caught {exc}", 422)
        self.names.notes.append(f"{self.name} got {response.status_code}")
        return await self.change(response)

    async def call(self, request: Any, call_next: Any) -> Any:
        if self.kind == "scope":
            with anyio.fail_after(10):
                return await call_next(request)
        if self.kind == "group":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.lowlevel.checkpoint)
                response = await call_next(request)
            return response  # noqa: RET504  -- behind the group
        return await call_next(request)

    async def change(self, response: Any) -> Any:
        kind, name = self.kind, self.name
        if kind == "sleeps and raises":
            await anyio.lowlevel.checkpoint()
        if kind in ("raises after", "sleeps and raises"):
            raise Refused(name)
        if kind == "adds":
            response.headers.append("x-added", name)
            response.set_cookie("name", name)
        elif kind == "counts":
            response.status_code += 1
            response.raw_headers = [*response.raw_headers, (b"x-raw", name.encode())]
        elif kind == "background":
            response.background = self.names.BackgroundTask(note, self.names, f"{name} after")
        elif kind == "wraps":
            response.body_iterator = raise_case(response.body_iterator)
        elif kind == "reads after":
            body = b"".join([chunk async for chunk in response.body_iterator])
            response = self.names.Response(body + b"!", response.status_code)
        elif kind == "streams":
            response = self.names.StreamingResponse(response.body_iterator, response.status_code)
        elif kind == "replaces":
            response = self.names.PlainTextResponse(name, 202)
        return response


async def raise_case(chunks: Any) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk.upper()


@dataclass(frozen=True)
class Between:
    """A plain ASGI middleware."""

    names: Any
    kind: str
    app: Any

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.kind == "plain":
            await self.app(scope, receive, send)
        elif self.kind == "mount":
            mounted = self.names.App(routes=[self.names.Mount("/", app=self.app)])
            await mounted(dict(scope), receive, send)
        else:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.app, scope, receive, send)


APPLICATIONS = ("plain", "raises", "echo", "slow", "stream", "empty", "child", "background")
LAYERS = (
    *("passes", "adds", "counts", "raises after", "sleeps and raises", "raises before", "answers"),
    *("reads before", "catches", "scope", "group", "background", "reads after", "wraps"),
    *("streams", "replaces"),
)
BETWEEN = ("plain", "mount", "in a child")


def build(names: Any, application: str, kinds: list[str]) -> Any:
    app: Any = Application(names, application)
    for number, kind in enumerate(kinds):
        if kind in BETWEEN:
            app = Between(names, kind, app)
        else:
            app = names.BaseHTTPMiddleware(app, Layer(names, kind, f"layer {number}"))
    return app


def find_cause(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return repr(error)


async def run(library: str, application: str, kinds: list[str], lost: list[Any]) -> Any:
    """Return what was sent, what was raised and what was noted on the way.

    What a task has raised and nobody asked for goes to `lost`; on trio there is no such thing.
    """
    if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    names = load_names(library)
    channel = Channel(*BODY, stays=True)
    app = build(names, application, kinds)
    raised = ""
    try:
        with anyio.fail_after(5):
            await app(build_scope("/", "POST"), channel.receive, channel.send)
    except Exception as exc:
        raised = find_cause(exc)
    result = read_messages(channel.messages)
    answer = (result.status, result.headers, b"".join(result.chunks), result.is_complete)
    # Where a layer raises, Starlette cancels what is below; here that ends as if it were not there.
    return answer, raised, [] if raised else names.notes


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@given(
    application=st.sampled_from(APPLICATIONS),
    kinds=st.lists(st.sampled_from(LAYERS + BETWEEN), min_size=1, max_size=5),
)
@settings(max_examples=150)
def test_a_stack_does_what_it_does_on_starlette(
    backend: str, application: str, kinds: list[str]
) -> None:
    lost: list[Any] = []
    # On asyncio: trio tells of the generators that Starlette leaves open.
    theirs = anyio.run(run, "starlette", application, kinds, [])
    ours = anyio.run(run, "framework", application, kinds, lost, backend=backend)
    assert ours == theirs
    assert lost == []
