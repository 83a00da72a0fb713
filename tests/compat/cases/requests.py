"""What an endpoint can read from a request."""

from __future__ import annotations

from typing import Any

from tests.compat.harness import Case, Request


def build_heads(names: Any) -> Any:
    """Build an endpoint that answers with all but the body."""

    async def head(request: Any) -> Any:
        return names.JSONResponse(
            {
                "method": request.method,
                "url": str(request.url),
                "url.path": request.url.path,
                "url.query": request.url.query,
                "url.hostname": request.url.hostname,
                "url.port": request.url.port,
                "base_url": str(request.base_url),
                "headers": request.headers.items(),
                "x-twice": request.headers.getlist("X-Twice"),
                "query": request.query_params.multi_items(),
                "cookies": request.cookies,
                "client": list(request.client) if request.client else None,
                "mapping": [request["type"], "path" in request, len(request) > 5],
                "equal": request == request,  # noqa: PLR0124
            }
        )

    return names.App(routes=[names.Route("/head", head)])


def build_reader(names: Any) -> Any:
    """Build endpoints that answer with the body they read."""

    async def body(request: Any) -> Any:
        first = await request.body()
        second = b"".join([chunk async for chunk in request.stream()])
        return names.PlainTextResponse(first + b"|" + second + b"|" + await request.body())

    async def stream(request: Any) -> Any:
        chunks = [chunk async for chunk in request.stream()]
        names.notes.append(f"chunks {chunks!r}")
        try:
            await request.body()
        except RuntimeError as exc:
            names.notes.append(f"RuntimeError: {exc}")
        return names.PlainTextResponse(b"".join(chunks))

    async def json(request: Any) -> Any:
        return names.JSONResponse([await request.json(), await request.json()])

    async def caught_json(request: Any) -> Any:
        try:
            await request.json()
        except ValueError as exc:
            return names.PlainTextResponse(f"not JSON: {isinstance(exc, ValueError)}", 422)
        return names.PlainTextResponse("JSON")

    async def gone(request: Any) -> Any:
        names.notes.append(f"disconnected {await request.is_disconnected()}")
        try:
            await request.body()
        except names.ClientDisconnect as exc:
            names.notes.append(f"ClientDisconnect: {exc}")
        names.notes.append(f"disconnected {await request.is_disconnected()}")
        return names.PlainTextResponse("nobody reads this")

    return names.App(
        routes=[
            names.Route("/body", body, methods=["POST"]),
            names.Route("/stream", stream, methods=["POST"]),
            names.Route("/json", json, methods=["POST"]),
            names.Route("/caught", caught_json, methods=["POST"]),
            names.Route("/gone", gone, methods=["POST"]),
        ]
    )


def build_state(names: Any) -> Any:
    """Build an application with state in the scope, in the app and in the request."""

    class AddState:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("state", {})["from_middleware"] = "m"
            await self.app(scope, receive, send)

    async def endpoint(request: Any) -> Any:
        request.state.own = "o"
        request.state["item"] = "i"
        seen = {
            "attributes": [request.state.from_middleware, request.state.own, request.state.item],
            "items": sorted(request.state),
            "app": request.app.state.shared,
            "missing": getattr(request.state, "missing", "default"),
            "scope": sorted(request.scope["state"]),
        }
        del request.state.own
        seen["after"] = sorted(request.state)
        return names.JSONResponse(seen)

    app = names.App(routes=[names.Route("/", endpoint)], middleware=[names.Middleware(AddState)])
    app.state.shared = "a"
    return app


def build_standalone(names: Any) -> Any:
    """Build plain ASGI applications that use `Request` and `Response` without an App."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = names.Request(scope, receive)
        try:
            url = str(request.url_for("x"))
        except RuntimeError:
            url = "RuntimeError"
        text = f"{request.method} {await request.body()!r} {url} {request.path_params}"
        await names.PlainTextResponse(text)(scope, receive, send)

    return app


def _post(path: str, *chunks: bytes, label: str = "") -> Request:
    return Request(path, "POST", body=chunks or (b"",), label=label)


def _head(label: str, *headers: tuple[str, str]) -> Request:
    return Request("/head", label=label).with_headers(*headers)


_HEADS = (
    Request("/head"),
    Request("/head", query="a=1&a=2&b=&c&d=%20+%C3%A9&=x&%zz=1"),
    Request("/head", query="a=%ff", label="not UTF-8"),
    Request("/head", query="a;b=1&c=2"),
    _head("fields", ("x-twice", "1"), ("X-Twice", "2"), ("x-latin", "caf\xe9")),
    _head("cookies", ("cookie", 'a=1; b="x y"; c=a=b; a=2; f=%20; g=')),
    _head("cookie fields", ("cookie", "first=1"), ("cookie", "second=2")),
    _head("escaped cookie", ("cookie", r'q="a\"b\054c"; p="open; r=\"a')),
    _head("nameless cookies", ("cookie", "a=1; __Host-b; =__Host-c=evil; =d")),
    Request("/head", headers=(), label="without headers"),
    Request(
        "/head",
        headers=(("host", "example.org:8443"),),
        scope=(("scheme", "https"),),
        label="https",
    ),
    Request("/head", headers=(("host", "[::1]:8000"),), label="IPv6 host"),
    Request("/head", headers=(("host", "a/?b@c#d"),), label="forged host"),
    Request("/head", headers=(("host", "EXAMPLE.org"),), label="upper case host"),
    Request("/head", scope=(("client", None),), label="unknown client"),
    Request("/head", scope=(("server", None),), headers=(), label="unknown server"),
    Request("/head", scope=(("server", ("/run/app.sock", None)),), headers=(), label="unix socket"),
    Request("/api/head", root_path="/api", label="below /api"),
)
_JSON_BODIES = (
    b'{"a": [1, 2.5, true, null, "\\u00e9"]}',
    b"[]",
    b'"text"',
    b" 12 ",
    b"",
    b"{",
    b"nope",
    b'{"a": 1,}',
    b"\xff",
    b"NaN",
    b"1e999",
    b"9" * 5000,
    b"[" * 100_000,
    b'"\\ud800"',
    b"\xef\xbb\xbf{}",
    '{"wide": 1}'.encode("utf-16"),
    b'{"a": 1, "a": 2}',
    b'{"big": 123456789012345678901234567890}',
)


def _name(body: bytes) -> str:
    return f"{body[:30]!r} of {len(body)} bytes"


CASES = (
    Case("request head", build_heads, _HEADS),
    Case(
        "request body",
        build_reader,
        (
            _post("/body", label="empty"),
            _post("/body", b"one"),
            _post("/body", b"one", b"", b"two", b"three", label="in chunks"),
            _post("/stream", b"one", b"", b"two"),
            _post("/stream", label="empty"),
            Request("/gone", "POST", body=(b"partly",), disconnects=True),
            Request("/gone", "POST", body=(), disconnects=True, label="at once"),
            Request("/body", "POST", body=(b"partly",), disconnects=True, label="cut"),
        ),
    ),
    Case(
        "request json",
        build_reader,
        tuple(
            _post(path, body, label=_name(body))
            for path in ("/json", "/caught")
            for body in _JSON_BODIES
        ),
    ),
    Case(
        "request state",
        build_state,
        (Request("/"), Request("/", scope=(("state", {"life": 1}),), label="with a lifespan")),
    ),
    Case("request without an app", build_standalone, (Request("/x"), _post("/x", b"a", b"b"))),
)
