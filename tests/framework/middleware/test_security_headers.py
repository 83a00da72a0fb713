"""`SecurityHeadersMiddleware`: which fields are on which response."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.security_headers import (
    DEFAULT_SECURITY_HEADERS,
    SecurityHeadersMiddleware,
)
from framework.requests import Request
from framework.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from framework.routing import Mount, Route
from framework.types import ASGIApp, Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

OK = PlainTextResponse("ok")
NONCE_POLICY = "script-src 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'"
SENT = {
    name.lower().encode(): value.encode()
    for name, value in DEFAULT_SECURITY_HEADERS.items()
    if value is not None and name != "Strict-Transport-Security"
}


def find_security_fields(channel: Channel) -> dict[bytes, bytes]:
    """Return the fields of an answer that this is about; fail when one comes twice."""
    names = {name.lower().encode() for name in DEFAULT_SECURITY_HEADERS}
    found = [field for field in channel.messages[0]["headers"] if field[0] in names]
    assert len(dict(found)) == len(found)
    return dict(found)


async def one_chunk() -> AsyncIterator[str]:
    yield "chunk"


def build_app(*middleware: Middleware) -> App:
    """Build an application with every kind of answer."""

    async def ok(request: Request[Any]) -> Response:
        return PlainTextResponse(getattr(request.state, "csp_nonce", "none"))

    async def own(request: Request[Any]) -> Response:
        return PlainTextResponse("own", headers={"X-Frame-Options": "SAMEORIGIN"})

    async def fail(request: Request[Any]) -> Response:
        raise ValueError("broken")

    async def stream(request: Request[Any]) -> Response:
        return StreamingResponse(one_chunk())

    async def file(request: Request[Any]) -> Response:
        return FileResponse(Path(__file__))

    def around(**options: str | None) -> list[Middleware]:
        return [Middleware(SecurityHeadersMiddleware, **options)]

    return App(
        routes=[
            Route("/ok", ok),
            Route("/own", own),
            Route("/fail", fail),
            Route("/stream", stream),
            Route("/file", file),
            Route("/framed", ok, middleware=around(frame_options=None, referrer_policy="origin")),
            Route("/nonce", ok, middleware=around(content_security_policy=NONCE_POLICY)),
            Mount("/mount", routes=[Route("/ok", ok)], middleware=around(permissions_policy=None)),
        ],
        middleware=middleware or [Middleware(SecurityHeadersMiddleware)],
    )


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/ok", "GET", 200),
        ("/ok", "HEAD", 200),
        ("/stream", "GET", 200),
        ("/file", "GET", 200),
        ("/missing", "GET", 404),
        ("/ok", "POST", 405),
        ("/ok/", "GET", 307),
        ("/fail", "GET", 500),
    ],
)
async def test_every_answer_has_them_once(path: str, method: str, status: int) -> None:
    channel = Channel(b"", stays=True)
    try:
        await build_app()(build_scope(path, method), channel.receive, channel.send)
    except ValueError:
        assert status == 500
    assert channel.status == status
    assert find_security_fields(channel) == SENT


@pytest.mark.parametrize(("scheme", "is_sent"), [("http", False), ("https", True)])
async def test_strict_transport_security_needs_tls(scheme: str, is_sent: bool) -> None:
    channel = await call(SecurityHeadersMiddleware(OK), build_scope(scheme=scheme))
    assert (b"strict-transport-security" in channel.headers) == is_sent


async def test_what_the_response_has_already_stays() -> None:
    channel = await call(build_app(), build_scope("/own"))
    assert find_security_fields(channel) == {**SENT, b"x-frame-options": b"SAMEORIGIN"}


async def test_a_route_changes_what_it_names_and_keeps_the_rest() -> None:
    app = build_app(Middleware(SecurityHeadersMiddleware, cross_origin_embedder_policy="x"))
    expected = {**SENT, b"cross-origin-embedder-policy": b"x", b"referrer-policy": b"origin"}
    del expected[b"x-frame-options"]
    for _ in range(2):
        assert find_security_fields(await call(app, build_scope("/framed"))) == expected
        assert find_security_fields(await call(app, build_scope("/ok")))[b"x-frame-options"]


async def test_a_mount_changes_what_it_names() -> None:
    expected = {name: value for name, value in SENT.items() if name != b"permissions-policy"}
    assert find_security_fields(await call(build_app(), build_scope("/mount/ok"))) == expected


async def test_a_layer_below_two_applications_follows_each() -> None:
    inner = SecurityHeadersMiddleware(OK, frame_options=None)
    for policy in ("a", "b", "a"):
        outer = SecurityHeadersMiddleware(inner, referrer_policy=policy)
        fields = find_security_fields(await call(outer, build_scope()))
        assert fields[b"referrer-policy"] == policy.encode()
        assert b"x-frame-options" not in fields


async def test_every_field_can_be_left_out() -> None:
    options: dict[str, Any] = {
        "content_security_policy": None,
        "strict_transport_security": None,
        "content_type_options": None,
        "frame_options": None,
        "referrer_policy": None,
        "permissions_policy": None,
        "cross_origin_opener_policy": None,
        "cross_origin_resource_policy": None,
    }
    app = SecurityHeadersMiddleware(OK, **options)
    assert find_security_fields(await call(app, build_scope(scheme="https"))) == {}


async def test_options_go_to_the_fields_of_their_names() -> None:
    options: dict[str, Any] = {
        "_".join(name.lower().removeprefix("x-").split("-")): f"value {place}"
        for place, name in enumerate(DEFAULT_SECURITY_HEADERS)
    }
    app = SecurityHeadersMiddleware(OK, **options)
    assert find_security_fields(await call(app, build_scope(scheme="https"))) == {
        name.lower().encode(): b"value %d" % place
        for place, name in enumerate(DEFAULT_SECURITY_HEADERS)
    }


@pytest.mark.parametrize("name", ["content_security_policy", "content_security_policy_report_only"])
async def test_a_policy_has_a_new_nonce_for_each_request(name: str) -> None:
    options: dict[str, Any] = {name: NONCE_POLICY}
    app = build_app(Middleware(SecurityHeadersMiddleware, **options))
    nonces = set()
    for _ in range(3):
        channel = await call(app, build_scope("/ok"))
        nonce = channel.body.decode()
        policy = channel.headers[name.replace("_", "-").encode()].decode()
        assert policy == NONCE_POLICY.format(nonce=nonce)
        assert len(nonce) >= 22
        nonces.add(nonce)
    assert len(nonces) == 3


async def test_the_nonce_is_in_the_state_that_the_server_has_given() -> None:
    state: dict[str, Any] = {}
    app = SecurityHeadersMiddleware(OK, content_security_policy=NONCE_POLICY)
    await call(app, build_scope(state=state))
    assert list(state) == ["csp_nonce"]


async def test_a_route_may_be_the_only_one_with_a_nonce() -> None:
    channel = await call(build_app(), build_scope("/nonce"))
    assert channel.headers[b"content-security-policy"].count(channel.body) == 2
    assert (await call(build_app(), build_scope("/ok"))).body == b"none"


async def test_two_layers_with_a_nonce_share_it() -> None:
    app = build_app(
        Middleware(SecurityHeadersMiddleware, content_security_policy_report_only=NONCE_POLICY)
    )
    channel = await call(app, build_scope("/nonce"))
    assert channel.headers[b"content-security-policy"].count(channel.body) == 2
    assert channel.headers[b"content-security-policy-report-only"].count(channel.body) == 2


async def test_what_stands_between_two_layers_has_the_same_nonce() -> None:
    seen: list[str] = []

    class Between:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            seen.append(scope["state"]["csp_nonce"])
            await self.app(scope, receive, send)

    outer = Middleware(SecurityHeadersMiddleware, content_security_policy=NONCE_POLICY)
    channel = await call(build_app(outer, Middleware(Between)), build_scope("/nonce"))
    assert channel.body.decode() == seen[0]


async def test_a_304_leaves_the_policy_of_the_page_that_it_keeps() -> None:
    app = SecurityHeadersMiddleware(Response(status_code=304), content_security_policy=NONCE_POLICY)
    fields = find_security_fields(await call(app, build_scope()))
    assert b"content-security-policy" not in fields
    assert b"referrer-policy" in fields


async def test_the_list_of_the_response_is_not_changed() -> None:
    response = PlainTextResponse("shared")
    app = SecurityHeadersMiddleware(response)
    for _ in range(2):
        await call(app, build_scope())
    assert len(response.raw_headers) == 2


async def test_a_websocket_passes_untouched() -> None:
    sent = Channel()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert send == sent.send

    await SecurityHeadersMiddleware(app)({"type": "websocket"}, sent.receive, sent.send)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("script-src 'nonce-{NONCE}'", "braces stand in \"'nonce-{nonce}'\" only"),
        ("script-src {nonce}", "quotation marks included"),
        ("script-src 'nonce-{nonce}' }", "braces"),
        ("default-src 'self'\nscript-src 'self'", "control character"),
    ],
)
def test_a_policy_that_cannot_work_is_refused(policy: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SecurityHeadersMiddleware(OK, content_security_policy=policy)
