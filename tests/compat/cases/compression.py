"""gzip: what is compressed, and the fields and messages around it."""

from __future__ import annotations

import functools
from typing import Any, Final

from tests.compat.harness import Case, Request

TEXT: Final = b"A text that says the same again and again. " * 40
NOISE: Final = bytes((number * number * 7 + number // 3) % 251 for number in range(600))
START: Final = {"type": "http.response.start", "status": 200}


def build_plain_messages() -> dict[str, Any]:
    """Return what applications without a response class send."""
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>"]}
    trailers = {"type": "http.response.trailers", "headers": [(b"x-a", b"b")]}
    length = (b"content-length", b"%d" % len(TEXT))
    whole = {"type": "http.response.body", "body": TEXT}
    return {
        "hinted": [hint, {**START, "headers": [length]}, whole],
        "trailed": [{**START, "headers": [length], "trailers": True}, whole, trailers],
        "headless": [START, whole],
        "path": [
            {**START, "headers": [length]},
            {"type": "http.response.pathsend", "path": "/x"},
        ],
    }


def build_answers(names: Any) -> dict[str, Any]:
    """Return a function for each kind of answer."""
    response = names.Response
    return {
        "text": lambda: names.PlainTextResponse(TEXT),
        "small": lambda: names.PlainTextResponse("small"),
        "json": lambda: names.JSONResponse([TEXT.decode()] * 3),
        "empty": lambda: response(b"", status_code=204),
        "png": lambda: response(TEXT, media_type="image/png"),
        "svg": lambda: response(TEXT, media_type="image/svg+xml"),
        "grpc": lambda: response(TEXT, media_type="application/grpc+proto"),
        "events": lambda: response(TEXT, media_type="text/event-stream"),
        "coded": lambda: response(TEXT, headers={"Content-Encoding": "br"}),
        "part": lambda: response(TEXT, status_code=206),
        "varying": lambda: response(TEXT, headers={"Vary": "Cookie"}),
        "varied": lambda: response(TEXT, headers={"Vary": "Cookie, Accept-Encoding"}),
        "tagged": lambda: response(TEXT, headers={"ETag": '"a"', "Accept-Ranges": "bytes"}),
        "known": lambda: response(status_code=304, headers={"ETag": '"a"'}),
        "kept": lambda: response(TEXT, headers={"Cache-Control": "no-transform"}),
        "noise": lambda: response(NOISE),
        "stream": lambda: names.StreamingResponse(iter([b"a" * 600, b"b" * 600])),
        "drops": lambda: names.StreamingResponse(iter([b"a", b"b"])),
        "large": lambda: names.PlainTextResponse(TEXT * 200),
    }


def send_all(messages: list[Any]) -> Any:
    """Return an application that sends these messages."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(dict(message))

    return app


def build_gzip(options: dict[str, Any], names: Any) -> Any:
    """Build an application with an answer of each kind behind the middleware."""
    answers = build_answers(names)

    async def endpoint(request: Any) -> Any:
        return answers[request.path_params["kind"]]()

    async def fail(request: Any) -> Any:
        raise LookupError("unhandled")

    plain = build_plain_messages()
    app = names.App(
        routes=[
            names.Route("/fail", fail),
            *(names.Mount(f"/{name}", app=send_all(plain[name])) for name in plain),
            names.Route("/{kind}", endpoint, methods=["GET", "POST"]),
        ]
    )
    app.add_middleware(names.GZipMiddleware, **options)
    return app


KINDS: Final = (
    *("text", "small", "json", "empty", "png", "svg", "grpc", "events", "coded", "part", "varying"),
    *("varied", "tagged", "known", "kept", "noise", "stream", "drops", "large", "fail"),
    *("nowhere/at/all", "hinted", "trailed", "headless", "path"),
)


def accept(kind: str, field: str | None, method: str = "GET") -> Request:
    """Return a request for an answer of a kind."""
    request = Request(f"/{kind}", method, label=f"as {field}")
    return request if field is None else request.with_headers(("accept-encoding", field))


CASES: Final = (
    Case(
        "gzip",
        functools.partial(build_gzip, {"compresslevel": 6}),
        (
            *(accept(kind, field) for kind in KINDS for field in ("gzip, br", None)),
            *(accept(kind, "gzip", "HEAD") for kind in ("text", "small", "stream")),
            accept("text", "gzip", "POST"),
        ),
    ),
    Case(
        "gzip by weight",
        functools.partial(build_gzip, {}),
        tuple(
            accept("text", field)
            for field in (
                *("gzip;q=0", "gzip;q=0.5", "GZIP", "*", "*;q=0", "identity", "br", "x-gzip"),
                *("identity, gzip;q=0.5", "not-gzip", ""),
            )
        ),
    ),
    Case(
        "gzip options",
        functools.partial(
            build_gzip, {"minimum_size": 0, "exclude_content_types": ("text/*; q=1", "image/png")}
        ),
        tuple(accept(kind, "gzip") for kind in ("text", "small", "json", "png", "events")),
    ),
)
