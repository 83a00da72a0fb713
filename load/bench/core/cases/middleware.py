"""Middleware: five layers of `BaseHTTPMiddleware`, CORS, sessions, security headers, compression."""

from __future__ import annotations

import gzip
import json
from functools import partial
from typing import Any, Final

from load.bench.core.case import Case
from load.bench.core.cases.responses import TEXT
from load.bench.core.exchange import Exchange, Request, measure_request
from load.bench.core.kit import Kit
from load.bench.exchange import Recorder
from load.bench.measurements import Measurement

LAYERS: Final = 5
LAYERS_BAR_US: Final = 20
LEVEL: Final = 9  # the default of both, named so that both do the same work
BODY: Final = b"Hello, world!"


def build_app(kit: Kit, *layers: tuple[Any, dict[str, Any]]) -> Any:
    """Return the application of the row `text` with layers (class, options) around it."""
    response = kit.load("responses").PlainTextResponse
    entry = kit.load("middleware").Middleware

    async def endpoint(request: Any) -> Any:
        return response("Hello, world!")

    stack = [entry(layer, **options) for layer, options in layers]
    return kit.build_app([kit.build_route(endpoint)], middleware=stack)


async def stack_layers(kit: Kit) -> Measurement:
    """Five layers that hand everything on."""
    base = kit.load("middleware.base").BaseHTTPMiddleware

    async def dispatch(self: Any, request: Any, call_next: Any) -> Any:
        return await call_next(request)

    # Five classes: nobody has the same middleware five times.
    layers = [type(f"Layer{number}", (base,), {"dispatch": dispatch}) for number in range(LAYERS)]
    return await measure_request(
        build_app(kit, *((layer, {}) for layer in layers)), Request(), BODY
    )


async def allow_origin(kit: Kit) -> Measurement:
    """A request from another origin that may read the answer."""
    cors = kit.load("middleware.cors").CORSMiddleware
    app = build_app(kit, (cors, {"allow_origins": ["https://shop.example"]}))
    request = Request(headers=((b"origin", b"https://shop.example"),))
    return await measure_request(app, request, partial(check_field, "access-control-allow-origin"))


async def secure(kit: Kit) -> Measurement:
    """The default fields for browsers."""
    layer = kit.load("middleware.security_headers").SecurityHeadersMiddleware
    check = partial(check_field, "content-security-policy")
    return await measure_request(build_app(kit, (layer, {})), Request(), check)


def check_field(name: str, answer: Recorder) -> str | None:
    """Say whether the field is missing."""
    return None if answer.headers.get(name) and answer.body == BODY else f"no {name}"


async def read_session(kit: Kit) -> Measurement:
    """A session that is read and not changed."""
    response = kit.load("responses").PlainTextResponse
    route = kit.load("routing").Route
    layer = kit.load("middleware.sessions").SessionMiddleware

    async def log_in(request: Any) -> Any:
        request.session["user"] = "ada"
        return response("in")

    async def read(request: Any) -> Any:
        return response(request.session["user"])

    entry = kit.load("middleware").Middleware(layer, secret_key="0123456789abcdef" * 2)
    app = kit.build_app([route("/in", log_in), route("/", read)], middleware=[entry])
    recorder = Recorder()
    await Exchange(app, Request("/in")).run_once(recorder.send)
    cookie = recorder.headers["set-cookie"].partition(";")[0].encode("ascii")
    return await measure_request(app, Request(headers=((b"cookie", cookie),)), b"ada")


async def compress(kit: Kit, size: int) -> Measurement:
    """A JSON body of that many bytes for a client that takes gzip, as all clients here."""
    layer = kit.load("middleware.gzip").GZipMiddleware
    body = build_document(size)
    app = build_json_app(kit, body, layer, {"minimum_size": 500, "compresslevel": LEVEL})

    def check(answer: Recorder) -> str | None:
        if answer.headers.get("content-encoding") != "gzip":
            return f"content-encoding {answer.headers.get('content-encoding')!r}"
        return None if gzip.decompress(answer.body) == body else "another body"

    return await measure_request(app, Request(), check)


async def compress_zstd(kit: Kit, size: int) -> Measurement:
    """The same for a client that takes zstd, too."""
    layer = kit.load("middleware.compress").CompressMiddleware
    app = build_json_app(kit, build_document(size), layer, {})

    def check(answer: Recorder) -> str | None:
        coding = answer.headers.get("content-encoding")
        return None if coding == "zstd" else f"content-encoding {coding!r}"

    request = Request(headers=((b"accept-encoding", b"zstd;q=1, br;q=0, gzip;q=0.1"),))
    return await measure_request(app, request, check)


def build_json_app(kit: Kit, body: bytes, layer: Any, options: dict[str, Any]) -> Any:
    """Return an application that answers a body of JSON through one layer."""
    response = kit.load("responses").Response

    async def endpoint(request: Any) -> Any:
        return response(body, media_type="application/json")

    entry = kit.load("middleware").Middleware(layer, **options)
    return kit.build_app([kit.build_route(endpoint)], middleware=[entry])


def build_document(size: int) -> bytes:
    """Return JSON as an API answers it, at least that many bytes and less than an entry more."""
    entries: list[dict[str, Any]] = []
    length = 0
    while length < size:
        number = len(entries)
        price = number * 7919 % 10_007 / 100
        entries.append({"id": number, "name": f"item {number * 31 % 997}", "price": price})
        length += len(json.dumps(entries[-1])) + 2
    return json.dumps(entries).encode()


CASES: Final = (
    Case(
        f"{LAYERS} layers of BaseHTTPMiddleware",
        stack_layers,
        faster=3,
        at_most=LAYERS_BAR_US,
        added_to=TEXT,
    ),
    Case("CORS", allow_origin),
    Case("session that is read", read_session),
    Case("gzip of 1 KB of JSON", partial(compress, size=1_000)),
    Case("gzip of 100 KB of JSON", partial(compress, size=100_000), faster=1),
    Case("zstd of 1 KB of JSON", partial(compress_zstd, size=1_000), added_to=TEXT, is_own=True),
    Case("security headers", secure, added_to=TEXT, is_own=True),
)
