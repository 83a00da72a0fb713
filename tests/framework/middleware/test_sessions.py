"""`SessionMiddleware`: when the cookie is read, when it is written, and what stands in it."""

from __future__ import annotations

import contextlib
import copy
import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import itsdangerous
import msgspec
import pytest
from starlette.middleware.sessions import SessionMiddleware as StarletteSessions

from framework._defaults import MAX_SESSION_COOKIE_READ_BYTES, SESSION_COOKIE_WARNING_BYTES
from framework.applications import App
from framework.datastructures import Secret
from framework.exceptions import HTTPException
from framework.middleware import Middleware
from framework.middleware.sessions import Session, SessionMiddleware
from framework.requests import Request
from framework.responses import JSONResponse, PlainTextResponse, Response
from framework.routing import Route, WebSocketRoute
from framework.types import ASGIApp, Receive, Scope, Send
from framework.websockets import WebSocket
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

KEY = "a key of enough bytes"
OLD_KEY = "an older key of enough bytes"
Use = Callable[[Session], object]


def sign(session: object, key: str = KEY) -> str:
    """Return the value of a session cookie."""
    data = session if isinstance(session, bytes) else json.dumps(session).encode()
    return itsdangerous.TimestampSigner(key).sign(b64encode(data)).decode()


def read(field: str | bytes) -> Any:
    """Return the session that a `Set-Cookie` field holds."""
    text = field.decode() if isinstance(field, bytes) else field
    value = text.partition(";")[0].partition("=")[2]
    return json.loads(b64decode(itsdangerous.TimestampSigner(KEY).unsign(value)))


class Using:
    """An application that does something with its session."""

    def __init__(self, use: Use, headers: dict[str, str] | None = None) -> None:
        self.use = use
        self.headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        result = self.use(Request[Any](scope).session)  # type: ignore[arg-type]
        response = JSONResponse(result, headers=self.headers)
        await response(scope, receive, send)


async def use_session(
    use: Use, session: object = None, headers: dict[str, str] | None = None, **options: Any
) -> Channel:
    """Send one request with a session to an application that uses it."""
    options = {"secret_key": KEY, **options}
    fields = [] if session is None else [("cookie", f"a=b; session={sign(session)}")]
    app = SessionMiddleware(Using(use, headers), **options)
    return await call(app, build_scope("/", "GET", *fields))


def assign(session: Session) -> None:
    session["user"] = 1


def merge(session: Session) -> None:
    session |= {"user": 1}


def drop(session: Session) -> None:
    del session["user"]


CHANGES: dict[str, tuple[Use, dict[str, Any]]] = {
    "assign": (assign, {"user": 1, "seen": []}),
    "merge": (merge, {"user": 1, "seen": []}),
    "drop": (drop, {"seen": []}),
    "pop": (lambda session: session.pop("user"), {"seen": []}),
    "popitem": (lambda session: session.popitem(), {"user": 7}),
    "setdefault": (lambda session: session.setdefault("new", 2), {"user": 7, "seen": [], "new": 2}),
    "update": (lambda session: session.update(user=3), {"user": 3, "seen": []}),
    "nested": (lambda session: session["seen"].append(5), {"user": 7, "seen": [5]}),
    "mark": (lambda session: session.mark_modified(), {"user": 7, "seen": []}),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_every_change_is_written(name: str) -> None:
    use, expected = CHANGES[name]
    channel = await use_session(use, {"user": 7, "seen": []})
    assert read(channel.headers[b"set-cookie"]) == expected
    assert channel.headers[b"vary"] == b"Cookie"
    assert channel.headers[b"cache-control"] == b"private"


READS: dict[str, tuple[Use, object]] = {
    "item": (lambda session: session["user"], 7),
    "get": (lambda session: session.get("user"), 7),
    "default": (lambda session: session.get("none", 3), 3),
    "in": (lambda session: "user" in session, True),
    "len": (len, 2),
    "bool": (bool, True),
    "iter": (list, ["user", "seen"]),
    "reversed": (lambda session: list(reversed(session)), ["seen", "user"]),
    "keys": (lambda session: list(session.keys()), ["user", "seen"]),
    "values": (lambda session: list(session.values()), [7, []]),
    "items": (lambda session: list(session.items()), [["user", 7], ["seen", []]]),
    "equal": (lambda session: session == {"user": 7, "seen": []}, True),
    "unequal": (lambda session: session != {"user": 7, "seen": []}, False),
    "dict": (dict, {"user": 7, "seen": []}),
    "copy": (lambda session: session.copy(), {"user": 7, "seen": []}),
    "or": (lambda session: session | {"a": 1}, {"user": 7, "seen": [], "a": 1}),
    "ror": (lambda session: {"a": 1} | session, {"a": 1, "user": 7, "seen": []}),
    "repr": (repr, "{'user': 7, 'seen': []}"),
    "pop nothing": (lambda session: session.pop("none", 4), 4),
    "setdefault": (lambda session: session.setdefault("user", 2), 7),
    "json": (lambda session: json.loads(json.dumps(session)), {"user": 7, "seen": []}),
    "deepcopy": (copy.deepcopy, {"user": 7, "seen": []}),
}


@pytest.mark.parametrize("name", READS)
async def test_reading_writes_no_cookie_but_varies_the_answer(name: str) -> None:
    use, expected = READS[name]
    channel = await use_session(use, {"user": 7, "seen": []})
    assert json.loads(channel.body) == expected
    assert b"set-cookie" not in channel.headers
    assert channel.headers[b"vary"] == b"Cookie"


@pytest.mark.parametrize("name", [name for name in READS if name not in {"json", "deepcopy"}])
async def test_a_session_taken_from_the_scope_is_loaded_by_every_reading(name: str) -> None:
    use, expected = READS[name]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await JSONResponse(use(scope["session"]))(scope, receive, send)

    scope = build_scope("/", "GET", ("cookie", "session=" + sign({"user": 7, "seen": []})))
    channel = await call(SessionMiddleware(app, KEY), scope)
    assert json.loads(channel.body) == expected
    assert channel.headers[b"vary"] == b"Cookie"


async def test_a_session_is_a_dictionary_for_code_in_c_too() -> None:
    channel = await use_session(lambda session: msgspec.json.encode(session).decode(), {"user": 7})
    assert json.loads(json.loads(channel.body)) == {"user": 7}


async def test_a_session_that_is_not_touched_costs_no_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise AssertionError("verified")

    monkeypatch.setattr(itsdangerous.TimestampSigner, "unsign", fail)
    app = SessionMiddleware(PlainTextResponse("untouched"), KEY)
    channel = await call(app, build_scope("/", "GET", ("cookie", "session=" + sign({"a": 1}))))
    assert channel.body == b"untouched"
    assert b"vary" not in channel.headers
    assert b"cache-control" not in channel.headers


async def test_an_emptied_session_deletes_the_cookie() -> None:
    channel = await use_session(lambda session: session.clear(), {"user": 7}, domain="example.org")
    assert channel.headers[b"set-cookie"] == (
        b"session=null; path=/; expires=Thu, 01 Jan 1970 00:00:00 GMT; "
        b"httponly; samesite=lax; secure; domain=example.org"
    )


async def test_a_session_that_stays_empty_sends_nothing() -> None:
    channel = await use_session(lambda session: session.clear())
    assert b"set-cookie" not in channel.headers


async def test_fields_of_the_response_stay() -> None:
    channel = await use_session(
        assign, headers={"vary": "Accept, cookie", "cache-control": "no-store"}
    )
    assert channel.headers[b"vary"] == b"Accept, cookie"
    assert channel.headers[b"cache-control"] == b"no-store"


@pytest.mark.parametrize(
    ("options", "attributes"),
    [
        ({}, "path=/; Max-Age=1209600; httponly; samesite=lax; secure"),
        ({"max_age": None}, "path=/; httponly; samesite=lax; secure"),
        ({"max_age": 0}, "path=/; Max-Age=0; httponly; samesite=lax; secure"),
        ({"https_only": False, "path": "/a"}, "path=/a; Max-Age=1209600; httponly; samesite=lax"),
        (
            {"same_site": "none", "partitioned": True},
            "path=/; Max-Age=1209600; httponly; samesite=none; secure; partitioned",
        ),
    ],
)
async def test_the_cookie_has_the_attributes_asked_for(
    options: dict[str, Any], attributes: str
) -> None:
    channel = await use_session(assign, **options)
    assert channel.headers[b"set-cookie"].decode().partition("; ")[2] == attributes


@pytest.mark.parametrize(
    ("debug", "scheme", "is_secure"),
    [(True, "http", False), (True, "https", True), (False, "http", True), (False, "https", True)],
)
async def test_plain_http_gets_the_cookie_in_debug_only(
    debug: bool, scheme: str, is_secure: bool
) -> None:
    async def endpoint(request: Request[Any]) -> Response:
        request.session["user"] = 1
        return PlainTextResponse("")

    app = App(debug, [Route("/", endpoint)], [Middleware(SessionMiddleware, secret_key=KEY)])
    channel = await call(app, build_scope(scheme=scheme))
    assert channel.headers[b"set-cookie"].endswith(b"; secure") == is_secure


@pytest.mark.parametrize(
    ("host", "is_secure"),
    [
        *(("testserver", False), ("localhost:8000", False), ("app.LOCALHOST", False)),
        *(("127.0.0.1:80", False), ("[::1]", False), ("[::ffff:192.0.2.1]:80", False)),
        *(("example.org", True), ("localhost.example.org", True), ("a b", True), (None, True)),
    ],
)
async def test_plain_http_gets_the_cookie_on_private_hosts(
    host: str | None, is_secure: bool
) -> None:
    fields = [] if host is None else [("host", host)]
    app = SessionMiddleware(Using(assign), KEY)
    for scheme, secure in (("http", is_secure), ("https", True)):
        channel = await call(app, build_scope("/", "GET", *fields, scheme=scheme))
        assert channel.headers[b"set-cookie"].endswith(b"; secure") == secure


async def test_the_first_key_signs_and_all_verify() -> None:
    options = {"secret_key": [Secret(KEY), OLD_KEY]}
    app = SessionMiddleware(Using(assign), **options)  # type: ignore[arg-type]
    scope = build_scope("/", "GET", ("cookie", "session=" + sign({"old": 1}, OLD_KEY)))
    channel = await call(app, scope)
    assert read(channel.headers[b"set-cookie"]) == {"old": 1, "user": 1}


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("", id="nothing"),
        pytest.param("null", id="null"),
        pytest.param("no signature at all", id="no signature"),
        pytest.param(sign({"user": 7})[:-1], id="cut off"),
        pytest.param("x" + sign({"user": 7}), id="changed"),
        pytest.param(sign({"user": 7}, OLD_KEY), id="another key"),
        pytest.param(sign(["no", "object"]), id="a list"),
        pytest.param(sign(b"no json"), id="no JSON"),
        pytest.param(sign(b"\xff"), id="no UTF-8"),
        pytest.param(sign(b"[" * 40_000), id="deep"),
        pytest.param(sign({"user": "x" * MAX_SESSION_COOKIE_READ_BYTES}), id="long"),
        pytest.param("é.ü.ö", id="letters with accents"),
        pytest.param('"\\377"', id="an octal escape"),
    ],
)
async def test_a_cookie_that_is_no_session_is_an_empty_one(value: str) -> None:
    app = SessionMiddleware(Using(dict), KEY)
    channel = await call(app, build_scope("/", "GET", ("cookie", f"session={value}")))
    assert (channel.status, channel.body) == (200, b"{}")
    assert b"set-cookie" not in channel.headers


async def test_an_expired_session_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    app = SessionMiddleware(Using(dict), KEY, max_age=60)
    monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda _: 1_000)
    scope = build_scope("/", "GET", ("cookie", "session=" + sign({"user": 7})))
    for now, body in ((1_060, b'{"user":7}'), (1_061, b"{}"), (999, b"{}")):
        monkeypatch.setattr(itsdangerous.TimestampSigner, "get_timestamp", lambda _, at=now: at)
        assert (await call(app, scope)).body == body


async def test_a_large_cookie_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    app = SessionMiddleware(Using(lambda session: session.update(text="x" * 4000)), KEY)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            size = len((await call(app, build_scope())).headers[b"set-cookie"])
    assert size > SESSION_COOKIE_WARNING_BYTES
    (record,) = caplog.records
    assert f"has {size} bytes" in record.getMessage()
    assert "database" in record.getMessage()


async def test_layers_of_two_sessions_do_not_mix() -> None:
    inner = SessionMiddleware(Using(assign), KEY, session_cookie="inner")
    channel = await call(SessionMiddleware(inner, KEY), build_scope())
    cookies = [value for name, value in channel.messages[0]["headers"] if name == b"set-cookie"]
    assert [value.partition(b"=")[0] for value in cookies] == [b"inner"]


async def test_what_is_no_connection_passes() -> None:
    seen = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    await SessionMiddleware(app, KEY)({"type": "lifespan"}, Channel().receive, Channel().send)
    assert seen == [{"type": "lifespan"}]


def test_a_websocket_reads_its_session_and_writes_it_when_accepted(
    client_factory: ClientFactory,
) -> None:
    async def endpoint(websocket: WebSocket[Any]) -> None:
        websocket.session["user"] = websocket.session.get("user", 0) + 1
        await websocket.accept()
        await websocket.send_json(websocket.session)
        await websocket.close()

    app = App(
        routes=[WebSocketRoute("/ws", endpoint)],
        middleware=[Middleware(SessionMiddleware, secret_key=KEY)],
    )
    client = client_factory(app, base_url="https://testserver")
    headers = {"cookie": "session=" + sign({"user": 7})}
    with client.websocket_connect("/ws", headers=headers) as websocket:
        assert websocket.receive_json() == {"user": 8}
        fields = dict(websocket.extra_headers or [])
    assert read(fields[b"set-cookie"]) == {"user": 8}
    assert b"vary" not in fields


def test_a_session_lasts_from_request_to_request(client_factory: ClientFactory) -> None:
    async def count(request: Request[Any]) -> Response:
        request.session["count"] = request.session.get("count", 0) + 1
        return JSONResponse(request.session)

    async def end(request: Request[Any]) -> Response:
        request.session.clear()
        return JSONResponse(request.session)

    app = App(
        routes=[Route("/", count), Route("/end", end)],
        middleware=[Middleware(SessionMiddleware, secret_key=KEY)],
    )
    client = client_factory(app, base_url="https://testserver")
    assert [client.get("/").json()["count"] for _ in range(3)] == [1, 2, 3]
    assert client.get("/end").json() == {}
    assert client.get("/").json() == {"count": 1}


@pytest.mark.parametrize(
    ("exc", "status", "is_kept"),
    [(HTTPException(303, headers={"Location": "/login"}), 303, True), (KeyError(), 500, False)],
)
async def test_what_middleware_changes_is_kept_as_what_an_endpoint_does(
    exc: Exception, status: int, is_kept: bool
) -> None:
    class Refuse:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            assign(scope["session"])
            raise exc

    app = App(middleware=[Middleware(SessionMiddleware, secret_key=KEY), Middleware(Refuse)])
    channel = Channel(b"")
    with contextlib.suppress(KeyError):
        await app(build_scope(), channel.receive, channel.send)
    assert channel.status == status
    assert (b"set-cookie" in channel.headers) == is_kept
    assert channel.headers[b"vary"] == b"Cookie"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"https_only": True, "same_site": "strict", "domain": "example.org", "max_age": None},
        {"https_only": True, "partitioned": True, "session_cookie": "other", "path": "/app"},
    ],
)
def test_subclasses_may_read_and_write_cookies_by_themselves(options: dict[str, Any]) -> None:
    layer, theirs = (cls(App(), KEY, **options) for cls in (SessionMiddleware, StarletteSessions))
    for name in ("session_cookie", "max_age", "path", "security_flags"):
        assert getattr(layer, name) == getattr(theirs, name)
    signed = layer.signer.sign(b"data")
    assert theirs.signer.unsign(signed) == layer.signer.unsign(signed) == b"data"
