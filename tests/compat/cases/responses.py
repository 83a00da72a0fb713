"""Responses: bodies, headers, cookies, streams, redirects, background tasks."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

from tests.compat.harness import Case, Request

Make = Callable[[Any], Any]


def _with_headers(response: Any) -> Any:
    response.headers["X-Set"] = "1"
    response.headers["x-set"] = "2"
    response.headers.append("X-More", "a")
    response.headers.append("X-More", "b")
    response.headers.setdefault("x-default", "d")
    response.headers.setdefault("x-set", "never")
    response.headers.update({"x-update": "u"})
    response.headers.add_vary_header("Accept")
    response.headers.add_vary_header("Origin")
    del response.headers["x-more"]
    return response


def _with_cookies(response: Any) -> Any:
    when = dt.datetime(2030, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    response.set_cookie("plain", "value")
    response.set_cookie("empty")
    response.set_cookie("odd", 'a b;c,"d"\\e')
    response.set_cookie("umlaut", "ä")
    response.set_cookie("all", "1", 60, when, "/p", "example.org", True, True, "strict")
    response.set_cookie("text", "1", expires="Wed, 02 Jan 2030 03:04:05 GMT", samesite=None)
    response.set_cookie("nopath", "1", path=None, samesite="none", secure=True)
    response.set_cookie("bare", "1", domain="", path="", expires="")
    for value in (5, True, None, decimal.Decimal("1.5"), b"bytes", Loud("quiet")):
        response.set_cookie(f"a:{value.__class__.__name__}", value)
    return response


def _with_deleted_cookie(response: Any) -> Any:
    response.delete_cookie("gone", path="/p", domain="example.org", secure=True, httponly=True)
    return response


class Loud(str):
    """Text that prints as another one."""

    __slots__ = ()

    def __str__(self) -> str:
        return self.upper()


class Half:
    """Something that JSON does not know."""


def list_makers(names: Any) -> dict[str, Make]:
    """Return what builds each response, by path."""
    return {
        "/bytes": lambda _: names.Response(b"bytes"),
        "/text": lambda _: names.Response("text \xe9"),
        "/none": lambda _: names.Response(),
        "/typed": lambda _: names.Response("x", media_type="text/csv"),
        "/charset": lambda _: names.Response("x", media_type="text/csv; charset=latin-1"),
        "/upper": lambda _: names.Response("x", headers={"Content-Type": "a/b", "X-Mixed": "Case"}),
        "/length": lambda _: names.Response("abc", headers={"Content-Length": "3"}),
        "/memory": lambda _: names.Response(memoryview(b"memory")),
        "/strided": lambda _: names.Response(memoryview(b"memory")[::2]),
        "/plain": lambda _: names.PlainTextResponse("plain"),
        "/html": lambda _: names.HTMLResponse("<p>html</p>", status_code=203),
        "/201": lambda _: names.JSONResponse({"id": 1}, 201, {"Location": "/1"}),
        "/204": lambda _: names.Response(status_code=204),
        "/304": lambda _: names.Response(status_code=304, headers={"ETag": '"a"'}),
        "/205": lambda _: names.Response(status_code=205),
        "/json": lambda _: names.JSONResponse({"a": [1, 2.5, True, None, "é\u2028\x00"], "ü": {}}),
        "/json-none": lambda _: names.JSONResponse(None),
        "/json-keys": lambda _: names.JSONResponse({1: "a", None: "b", False: "c", 1.5: "d"}),
        "/json-tuple": lambda _: names.JSONResponse((1, [2], {"x": ()})),
        "/json-float": lambda _: names.JSONResponse([0.1, 1e100, -0.0, 1.0, 1e16]),
        "/json-big": lambda _: names.JSONResponse([2**80, -(2**63)]),
        "/json-nan": lambda _: names.JSONResponse([float("nan")]),
        "/json-object": lambda _: names.JSONResponse({"x": Half()}),
        "/json-date": lambda _: names.JSONResponse(dt.date(2030, 1, 2)),
        "/json-bytes": lambda _: names.JSONResponse(b'{"encoded":"already"}'),
        "/json-bytearray": lambda _: names.JSONResponse(bytearray(b"x")),
        "/json-memory": lambda _: names.JSONResponse(memoryview(b"x")),
        "/json-more": lambda _: names.JSONResponse([b"x", {1}, decimal.Decimal("1.10")]),
        "/json-loud": lambda _: names.JSONResponse([Loud("quiet"), {"a": Loud("quiet")}]),
        "/json-true-key": lambda _: names.JSONResponse({True: 1}),
        "/json-strange": lambda _: names.JSONResponse(range(2)),
        "/json-type": lambda _: names.JSONResponse({}, media_type="application/problem+json"),
        "/json-surrogate": lambda _: names.JSONResponse("\ud800"),
        "/headers": lambda _: _with_headers(names.PlainTextResponse("x")),
        "/cookies": lambda _: _with_cookies(names.PlainTextResponse("x")),
        "/delete": lambda _: _with_deleted_cookie(names.PlainTextResponse("x")),
        "/bad-cookie": lambda _: names.Response().set_cookie("a b", "1"),
        "/bad-samesite": lambda _: names.Response().set_cookie("a", "1", samesite="weird"),
        "/crlf-header": lambda _: names.Response("x", headers={"x-a": "1\r\nset-cookie: b=2"}),
        "/crlf-late": lambda _: _set(names.Response("x"), "x-a", "1\r\nset-cookie: b=2"),
        "/crlf-cookie": lambda _: names.Response("x").set_cookie("a", "1", path="/\r\nx: y"),
        "/redirect": lambda _: names.RedirectResponse("/elsewhere?a=b c&d=é"),
        "/redirect-303": lambda _: names.RedirectResponse("https://example.org/ü", 303),
        "/redirect-quoted": lambda _: names.RedirectResponse("/a%20b#frag"),
        "/redirect-url": lambda request: names.RedirectResponse(request.url.replace(path="/new")),
        "/redirect-crlf": lambda _: names.RedirectResponse("/a\r\nx: y"),
    }


def _set(response: Any, name: str, value: str) -> Any:
    response.headers[name] = value
    return response


def build_responses(names: Any) -> Any:
    """Build one route for each response."""
    routes = [names.Route(path, build_endpoint(make)) for path, make in list_makers(names).items()]
    return names.App(routes=routes)


def build_endpoint(make: Make) -> Any:
    """Return an endpoint that answers with what `make` makes."""

    async def endpoint(request: Any) -> Any:
        return make(request)

    return endpoint


PATHS = (
    *("/bytes", "/text", "/none", "/typed", "/charset", "/upper", "/length", "/memory", "/strided"),
    *("/plain", "/html", "/201", "/204", "/304", "/205", "/json", "/json-none", "/json-keys"),
    *("/json-tuple", "/json-float", "/json-big", "/json-nan", "/json-object", "/json-date"),
    *("/json-bytes", "/json-bytearray", "/json-memory", "/json-more"),
    *("/json-loud", "/json-true-key", "/json-strange"),
    *("/json-type", "/json-surrogate", "/headers", "/cookies", "/delete", "/bad-cookie"),
    *("/bad-samesite", "/crlf-header", "/crlf-late", "/crlf-cookie", "/redirect", "/redirect-303"),
    *("/redirect-quoted", "/redirect-url", "/redirect-crlf"),
)


def build_streams(names: Any) -> Any:
    """Build streams from async and plain iterables, good ones and failing ones."""

    async def numbers() -> Any:
        try:
            for number in range(3):
                yield f"{number}\n"
        finally:
            names.notes.append("closed")

    async def failing() -> Any:
        yield b"first"
        raise ValueError("in the middle")

    def plain() -> Any:
        yield b"a"
        yield "b"
        yield memoryview(b"c")

    async def endless() -> Any:
        try:
            while True:
                yield b"."
        finally:
            names.notes.append("endless closed")

    streams = {
        "/async": lambda _: names.StreamingResponse(numbers(), media_type="text/plain"),
        "/plain": lambda _: names.StreamingResponse(plain(), headers={"x-a": "b"}),
        "/list": lambda _: names.StreamingResponse(["a", "b"], status_code=206),
        "/empty": lambda _: names.StreamingResponse([]),
        "/bytes": lambda _: names.StreamingResponse(b"abc"),
        "/failing": lambda _: names.StreamingResponse(failing()),
        "/length": lambda _: names.StreamingResponse(
            iter([b"ab"]), headers={"content-length": "2"}
        ),
        "/background": lambda _: names.StreamingResponse(
            numbers(), background=names.BackgroundTask(names.notes.append, "background ran")
        ),
    }

    return names.App(
        routes=[names.Route(path, build_endpoint(make)) for path, make in streams.items()]
    )


def build_background(names: Any) -> Any:
    """Build endpoints with work behind the response."""

    async def note(text: str, *, fail: bool = False) -> None:
        names.notes.append(text)
        if fail:
            raise ValueError(f"{text} failed")

    def note_sync(text: str) -> None:
        names.notes.append(text)

    async def one(request: Any) -> Any:
        return names.PlainTextResponse("one", background=names.BackgroundTask(note, "async task"))

    async def several(request: Any) -> Any:
        tasks = names.BackgroundTasks([names.BackgroundTask(note, "first")])
        tasks.add_task(note_sync, "second, sync")
        tasks.add_task(note, text="third")
        return names.JSONResponse({}, background=tasks)

    async def failing(request: Any) -> Any:
        return names.Response(background=names.BackgroundTask(note, "bad", fail=True))

    async def partly(request: Any) -> Any:
        tasks = names.BackgroundTasks()
        tasks.add_task(note, "good")
        tasks.add_task(note, "bad", fail=True)
        tasks.add_task(note, "behind")
        return names.Response(background=tasks)

    endpoints = {"/one": one, "/several": several, "/failing": failing, "/partly": partly}
    return names.App(routes=[names.Route(path, each) for path, each in endpoints.items()])


CASES = (
    Case("responses", build_responses, tuple(Request(path) for path in PATHS)),
    Case(
        "streams",
        build_streams,
        tuple(
            Request(path, scope=(("asgi", {"version": "3.0", "spec_version": spec}),), label=spec)
            for path in (
                "/async",
                "/plain",
                "/list",
                "/empty",
                "/failing",
                "/length",
                "/background",
            )
            for spec in ("2.3", "2.4")
        ),
    ),
    Case(
        "background tasks",
        build_background,
        tuple(Request(path) for path in ("/one", "/several", "/failing", "/partly")),
    ),
)
