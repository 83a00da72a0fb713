"""Reading a request: header fields, query, cookies, URL, JSON."""

from __future__ import annotations

import json
from typing import Any, Final

from load.bench.core.calls import measure_calls
from load.bench.core.case import Case
from load.bench.core.exchange import Request, measure_request
from load.bench.core.kit import Kit
from load.bench.exchange import HEADERS
from load.bench.measurements import Measurement

BROWSER: Final = Request(
    path="/shop/items",
    query=b"page=3&sort=price&q=caf%C3%A9+au+lait&tag=new&tag=sale&limit=50",
    headers=(
        *((name, value) for name, value in HEADERS if name != b"accept"),
        (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (b"accept-language", b"en-GB,en;q=0.7"),
        (b"authorization", b"Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"),
        (b"cookie", b"session=eyJpZCI6IDQyfQ; theme=dark; lang=en; _ga=GA1.2.1234567.7654321"),
        (b"referer", b"https://shop.example/"),
        (b"sec-fetch-mode", b"navigate"),
        (b"sec-fetch-site", b"same-origin"),
        (b"x-forwarded-for", b"203.0.113.9"),
    ),
)
DOCUMENT: Final = {
    "id": 4711,
    "title": "A document of about one kilobyte",
    "tags": ["new", "sale", "café"],
    "owner": {"name": "Ada", "email": "ada@example.org", "active": True, "score": 4.5},
    "lines": [{"item": number, "name": f"item {number}", "price": 9.99} for number in range(16)],
}


def build_scope() -> dict[str, Any]:
    """Return what a browser's request looks like to an application."""
    return {**BROWSER.build_scope(), "headers": [*BROWSER.headers], "state": {}}


async def read_all(kit: Kit) -> Measurement:
    """Four header fields, the query and the cookies of one request."""
    request_class = kit.load("requests").Request

    def read(scope: Any) -> Any:
        request = request_class(scope)
        headers, query, cookies = request.headers, request.query_params, request.cookies
        return (
            headers["authorization"][:6],
            headers.get("accept-language"),
            "x-request-id" in headers,
            headers.get("if-none-match"),
            query["q"],
            int(query.get("page", "1")),
            query.getlist("tag"),
            cookies["theme"],
            cookies.get("missing"),
        )

    expected = (
        *("Bearer", "en-GB,en;q=0.7", False, None),
        *("café au lait", 3, ["new", "sale"], "dark", None),
    )
    return await measure_calls(read, build_scope, expected)


async def read_headers(kit: Kit) -> Measurement:
    """Four look-ups."""
    request_class = kit.load("requests").Request

    def read(scope: Any) -> Any:
        headers = request_class(scope).headers
        return (
            headers["authorization"][:6],
            headers.get("accept-language"),
            "x-request-id" in headers,
            headers.get("if-none-match"),
        )

    return await measure_calls(read, build_scope, ("Bearer", "en-GB,en;q=0.7", False, None))


async def read_many_headers(kit: Kit) -> Measurement:
    """Twelve look-ups, as many as a stack of middleware makes together."""
    request_class = kit.load("requests").Request
    names = [name.decode() for name, _ in BROWSER.headers]

    def read(scope: Any) -> int:
        headers = request_class(scope).headers
        return sum(len(headers[name]) for name in names)

    return await measure_calls(read, build_scope, sum(len(value) for _, value in BROWSER.headers))


async def read_query(kit: Kit) -> Measurement:
    """Three look-ups in six parameters."""
    request_class = kit.load("requests").Request

    def read(scope: Any) -> Any:
        query = request_class(scope).query_params
        return query["q"], query.get("page"), query.getlist("tag")

    return await measure_calls(read, build_scope, ("café au lait", "3", ["new", "sale"]))


async def read_cookies(kit: Kit) -> Measurement:
    """Two look-ups in four cookies."""
    request_class = kit.load("requests").Request

    def read(scope: Any) -> Any:
        cookies = request_class(scope).cookies
        return cookies["theme"], cookies.get("missing")

    return await measure_calls(read, build_scope, ("dark", None))


async def read_url(kit: Kit) -> Measurement:
    """The URL of a request, from its `Host`."""
    request_class = kit.load("requests").Request

    def read(scope: Any) -> Any:
        url = request_class(scope).url
        return url.hostname, url.path

    return await measure_calls(read, build_scope, ("127.0.0.1", "/shop/items"))


async def echo_json(kit: Kit) -> Measurement:
    """A body of about one kilobyte that is read and answered."""
    response = kit.load("responses").JSONResponse

    async def endpoint(request: Any) -> Any:
        return response(await request.json())

    app = kit.build_app([kit.build_route(endpoint, methods=("POST",))])
    body = json.dumps(DOCUMENT, ensure_ascii=False, separators=(",", ":")).encode()
    headers = (
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
    )
    return await measure_request(app, Request("/", "POST", headers=headers, body=(body,)), body)


CASES: Final = (
    Case("request headers, query and cookies", read_all, faster=1.5),
    Case("request headers, 4 look-ups", read_headers),
    Case("request headers, 12 look-ups", read_many_headers),
    Case("request query", read_query),
    Case("request cookies", read_cookies),
    Case("request URL", read_url),
    Case("JSON in and out", echo_json, faster=2),
)
