"""`CORSMiddleware`: who may read what, what caches are told, what is refused when it is made."""

from __future__ import annotations

from typing import Any

import pytest

from framework.applications import App
from framework.middleware import Middleware
from framework.middleware.cors import ALL_METHODS, CORSMiddleware
from framework.requests import Request
from framework.responses import PlainTextResponse
from framework.routing import Route, WebSocketRoute
from framework.types import ASGIApp, Receive, Scope, Send
from framework.websockets import WebSocket
from tests.clients import ClientFactory
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

GOOD = "https://good.com"


def answer_with(*fields: tuple[bytes, bytes]) -> ASGIApp:
    """Return an application whose answer has these fields, the same message for each request."""
    start = {"type": "http.response.start", "status": 200, "headers": list(fields)}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)
        await send({"type": "http.response.body", "body": b"body"})

    return app


async def ask(app: ASGIApp, *origins: str, method: str = "GET", **fields: str) -> Channel:
    """Send a request with origins and further fields."""
    headers = [("origin", origin) for origin in origins]
    headers += [(name.replace("_", "-"), value) for name, value in fields.items()]
    return await call(app, build_scope("/", method, *headers))


async def preflight(
    app: ASGIApp, origin: str = GOOD, method: str = "GET", **fields: str
) -> Channel:
    """Ask as a browser does before the request itself."""
    return await ask(app, origin, method="OPTIONS", access_control_request_method=method, **fields)


def read(channel: Channel, name: bytes) -> list[bytes]:
    """Return the values of all fields with a name."""
    return [value for key, value in channel.messages[0]["headers"] if key == name]


ORIGINS = [
    (GOOD, True),
    ("https://sub.good.com", True),
    ("https://good.com.evil", False),
    ("https://evilgood.com", False),
    ("https://evil.com/.good.com", False),
    ("https://evil.com#.good.com", False),
    ("https://evil.com?.good.com", False),
    ("https://evil.com\\.good.com", False),
    ("https://evil.com@x.good.com", False),
    ("https://evil.com .good.com", False),
    ("https://sub.good.com/", False),
    ("https://sub.good.com.", False),
    ("https://SUB.good.com", False),
    ("HTTPS://good.com", False),
    ("https://good.com:443", False),
    ("http://good.com", False),
    ("https://" + "a" * 600 + ".good.com", False),
    ("null", False),
    ("*", False),
    ("", False),
]


@pytest.mark.parametrize("credentials", [True, False])
@pytest.mark.parametrize(("origin", "is_allowed"), ORIGINS)
async def test_an_origin_is_allowed_as_a_whole_or_not_at_all(
    origin: str, is_allowed: bool, credentials: bool
) -> None:
    app = CORSMiddleware(
        answer_with(),
        allow_origins=[GOOD],
        allow_origin_regex=r"https://.*\.good\.com",
        allow_credentials=credentials,
    )
    for channel in (await ask(app, origin), await preflight(app, origin)):
        assert read(channel, b"access-control-allow-origin") == [origin.encode()] * is_allowed
    simple = await ask(app, origin)
    sent = read(simple, b"access-control-allow-credentials")
    assert sent == [b"true"] * (is_allowed and credentials)
    assert simple.body == b"body"


async def test_null_is_allowed_only_when_it_is_listed() -> None:
    by_pattern = CORSMiddleware(answer_with(), allow_origin_regex=".*")
    assert read(await ask(by_pattern, "null"), b"access-control-allow-origin") == []
    listed = CORSMiddleware(answer_with(), allow_origins=["null"])
    assert read(await ask(listed, "null"), b"access-control-allow-origin") == [b"null"]


async def test_two_origins_are_none() -> None:
    app = CORSMiddleware(answer_with(), allow_origins=[GOOD, "https://b.com"])
    channel = await ask(app, GOOD, "https://b.com")
    assert read(channel, b"access-control-allow-origin") == []
    channel = await ask(app, GOOD, GOOD, method="OPTIONS", access_control_request_method="GET")
    assert channel.status == 400
    assert channel.body == b"Disallowed CORS origin"


@pytest.mark.parametrize("origins", [(), (GOOD,), ("https://evil.com",)])
@pytest.mark.parametrize("allowed", [["*"], [GOOD], ["https://other.com"]])
async def test_a_cache_is_told_of_origin_whoever_asks_first(
    allowed: list[str], origins: tuple[str, ...]
) -> None:
    """Otherwise the answer without CORS fields would be kept for those who need them, and reversely."""
    app = CORSMiddleware(answer_with((b"vary", b"Cookie")), allow_origins=allowed)
    assert read(await ask(app, *origins), b"vary") == [b"Cookie, Origin"]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ([], [b"Origin"]),
        ([b"*"], [b"*"]),
        ([b"Cookie, origin"], [b"Cookie, origin"]),
        ([b"Cookie", b"Accept"], [b"Cookie, Accept, Origin"]),
    ],
)
async def test_vary_is_merged(given: list[bytes], sent: list[bytes]) -> None:
    app = CORSMiddleware(answer_with(*((b"vary", each) for each in given)), allow_origins=[GOOD])
    for origins in ((), (GOOD,), ("https://evil.com",)):
        assert read(await ask(app, *origins), b"vary") == sent


async def test_no_field_is_doubled() -> None:
    own = [
        (b"access-control-allow-origin", b"https://old.com"),
        (b"access-control-expose-headers", b"X-Old"),
        (b"x-other", b"1"),
    ]
    app = CORSMiddleware(
        answer_with(*own), allow_origins=[GOOD], allow_credentials=True, expose_headers=["X-New"]
    )
    channel = await ask(CORSMiddleware(app, allow_origins=[GOOD]), GOOD)
    assert read(channel, b"access-control-allow-origin") == [GOOD.encode()]
    assert read(channel, b"access-control-expose-headers") == [b"X-New"]
    assert read(channel, b"access-control-allow-credentials") == [b"true"]
    assert read(channel, b"vary") == [b"Origin"]
    assert read(channel, b"x-other") == [b"1"]


async def test_a_message_that_is_sent_twice_keeps_no_trace_of_the_first_client() -> None:
    app = CORSMiddleware(answer_with(), allow_origins=[GOOD])
    assert read(await ask(app, GOOD), b"access-control-allow-origin") == [GOOD.encode()]
    assert read(await ask(app, "https://evil.com"), b"access-control-allow-origin") == []
    assert read(await ask(app), b"vary") == [b"Origin"]


async def test_every_origin_is_a_star_and_never_the_origin_itself() -> None:
    app = CORSMiddleware(answer_with(), allow_origins=["*"], allow_headers=["*"])
    for channel in (await ask(app, GOOD), await ask(app, "null"), await preflight(app)):
        assert read(channel, b"access-control-allow-origin") == [b"*"]
        assert read(channel, b"access-control-allow-credentials") == []
    assert read(await ask(app), b"access-control-allow-origin") == []


async def test_a_preflight_is_answered_in_full() -> None:
    app = CORSMiddleware(
        answer_with(),
        allow_origins=[GOOD],
        allow_methods=["PUT"],
        allow_headers=["X-Token", "content-type"],
        allow_credentials=True,
        allow_private_network=True,
        max_age=5,
    )
    channel = await preflight(
        app,
        method="PUT",
        access_control_request_headers="x-token, , content-type,",
        access_control_request_private_network="true",
    )
    assert channel.status == 200
    assert channel.body == b"OK"
    assert channel.messages[0]["headers"] == [
        (
            b"vary",
            b", ".join(
                (
                    b"Origin",
                    b"Access-Control-Request-Method",
                    b"Access-Control-Request-Headers",
                    b"Access-Control-Request-Private-Network",
                )
            ),
        ),
        (b"access-control-allow-methods", b"PUT"),
        (b"access-control-max-age", b"5"),
        (
            b"access-control-allow-headers",
            b"Accept, Accept-Language, Content-Language, Content-Type, X-Token",
        ),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-allow-origin", GOOD.encode()),
        (b"access-control-allow-private-network", b"true"),
        (b"content-length", b"2"),
        (b"content-type", b"text/plain; charset=utf-8"),
    ]


async def test_a_preflight_names_everything_that_is_not_allowed() -> None:
    app = CORSMiddleware(answer_with(), allow_origins=[GOOD])
    channel = await preflight(
        app,
        "https://evil.com",
        "DELETE",
        access_control_request_headers="x-token",
        access_control_request_private_network="true",
    )
    assert channel.status == 400
    assert channel.body == b"Disallowed CORS origin, method, headers, private-network"
    assert [name for name, _ in channel.messages[0]["headers"]] == [
        b"vary",
        b"content-length",
        b"content-type",
    ]


async def test_all_lines_of_requested_headers_count() -> None:
    scope = build_scope(
        "/",
        "OPTIONS",
        ("origin", GOOD),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-a"),
        ("access-control-request-headers", "x-b"),
    )
    strict = CORSMiddleware(answer_with(), allow_origins=[GOOD], allow_headers=["X-A"])
    assert (await call(strict, scope)).body == b"Disallowed CORS headers"
    free = CORSMiddleware(answer_with(), allow_origins=[GOOD], allow_headers=["*"])
    assert read(await call(free, scope), b"access-control-allow-headers") == [b"x-a, x-b"]


@pytest.mark.parametrize("value", ["x\r\nset-cookie: a=b", "x y: z", "\xff", 'a"b', "x\x00"])
async def test_nothing_but_names_is_repeated(value: str) -> None:
    app = CORSMiddleware(answer_with(), allow_origins=["*"], allow_headers=["*"])
    channel = await preflight(app, access_control_request_headers=value)
    assert channel.status == 400
    assert read(channel, b"access-control-allow-headers") == []


async def test_options_without_the_question_of_a_preflight_reaches_the_application() -> None:
    app = CORSMiddleware(answer_with(), allow_origins=[GOOD])
    assert (await ask(app, GOOD, method="OPTIONS")).body == b"body"
    channel = await ask(app, method="OPTIONS", access_control_request_method="GET")
    assert channel.body == b"body"


async def test_a_subclass_decides_about_origins() -> None:
    class Dynamic(CORSMiddleware):
        def is_allowed_origin(self, origin: str) -> bool:
            return origin == "https://from.database"

    app = Dynamic(answer_with())
    for channel in (
        await ask(app, "https://from.database"),
        await preflight(app, "https://from.database"),
    ):
        assert read(channel, b"access-control-allow-origin") == [b"https://from.database"]
    assert read(await ask(app, GOOD), b"access-control-allow-origin") == []


async def fail(request: Request[Any]) -> PlainTextResponse:
    raise LookupError("unhandled")


async def echo(websocket: WebSocket[Any]) -> None:
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())


def build_app() -> App:
    """Return a real application with the middleware in it."""
    cors = Middleware(CORSMiddleware, allow_origins=[GOOD])
    return App(routes=[Route("/", fail), WebSocketRoute("/ws", echo)], middleware=[cors])


def test_an_unhandled_error_can_be_read_by_an_allowed_origin(client_factory: ClientFactory) -> None:
    client = client_factory(build_app(), raise_server_exceptions=False)
    for path, status in (("/", 500), ("/nowhere", 404)):
        response = client.get(path, headers={"Origin": GOOD})
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == GOOD
        assert response.headers["vary"] == "Origin"


def test_lifespan_and_websockets_pass(client_factory: ClientFactory) -> None:
    foreign = {"Origin": "https://evil.com"}
    with (
        client_factory(build_app()) as client,
        client.websocket_connect("/ws", headers=foreign) as websocket,
    ):
        websocket.send_text("hello")
        assert websocket.receive_text() == "hello"


def test_methods_and_headers_of_a_star() -> None:
    app = CORSMiddleware(answer_with(), "*", "*", "*")
    assert app.allow_all_origins
    assert app.allow_methods == ALL_METHODS
    assert app.allow_all_headers


WARNED_OF: list[tuple[dict[str, Any], str]] = [
    ({"allow_origins": ["*"], "allow_credentials": True}, "list the origins"),
    ({"expose_headers": ["*"], "allow_credentials": True}, "list the fields"),
    ({"allow_origins": ["https://a.com/"]}, "'https://a.com/', which no browser sends"),
    ({"allow_origins": ["https://a.com/x"]}, "without a path"),
    ({"allow_origins": ["https://A.com"]}, "lower case"),
    ({"allow_origins": ["https://a.com:443"]}, "default port"),
    ({"allow_origins": ["http://a.com:80"]}, "default port"),
    ({"allow_origins": ["a.com"]}, "scheme://host"),
    ({"allow_origins": ["https://bücher.example"]}, "scheme://host"),
    ({"allow_origins": [""]}, "scheme://host"),
    ({"allow_origins": ["https://*.a.com"]}, "allow_origin_regex"),
    ({"allow_methods": ["get"]}, "write 'GET'"),
    ({"allow_methods": ["GET POST"]}, "'GET POST'"),
    ({"allow_headers": ["X-A: b"]}, "'X-A: b'"),
    ({"allow_origins": GOOD}, "pass a list"),
]


@pytest.mark.parametrize(("options", "message"), WARNED_OF)
def test_what_is_unwise_or_never_matches_is_warned_of_with_the_remedy(
    options: dict[str, Any], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    CORSMiddleware(answer_with(), **options)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("framework.middleware.cors", "WARNING")
    assert message in record.getMessage()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"allow_origin_regex": "("}, "'\\(' is no pattern"),
        ({"expose_headers": ["X\nA"]}, "control character"),
        ({"allow_headers": ["\u20ac"]}, "not latin-1"),
    ],
)
def test_what_would_fail_with_each_answer_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CORSMiddleware(answer_with(), **options)


async def test_one_text_is_read_as_a_list() -> None:
    app = CORSMiddleware(answer_with(), f"{GOOD}, https://b.com", "PUT,GET", "X-A X-B")
    for origin, sent in ((GOOD, [GOOD.encode()]), ("https://good.co", [])):
        assert read(await ask(app, origin), b"access-control-allow-origin") == sent
    channel = await preflight(app, "https://b.com", "PUT", access_control_request_headers="x-b")
    assert channel.status == 200


async def test_everybody_with_credentials_is_each_origin_by_its_name() -> None:
    app = CORSMiddleware(answer_with(), allow_origins=["*"], allow_credentials=True)
    for origin in (GOOD, "https://evil.com", "null"):
        for channel in (await ask(app, origin), await preflight(app, origin)):
            assert read(channel, b"access-control-allow-origin") == [origin.encode()]
            assert read(channel, b"access-control-allow-credentials") == [b"true"]
            assert b"Origin" in read(channel, b"vary")[0]
    assert read(await ask(app), b"access-control-allow-origin") == []
    assert read(await ask(app), b"vary") == [b"Origin"]
    two = await ask(app, GOOD, "https://evil.com")
    assert read(two, b"access-control-allow-origin") == []


@pytest.mark.parametrize(
    "origin",
    [
        *("http://localhost:3000", "capacitor://localhost", "chrome-extension://abc", "file://"),
        *("https://[::1]:8443", "https://xn--bcher-kva.example", "null", "https://a_b.example"),
    ],
)
async def test_origins_as_browsers_and_shells_write_them(origin: str) -> None:
    app = CORSMiddleware(answer_with(), allow_origins=[origin], allow_credentials=True)
    assert read(await ask(app, origin), b"access-control-allow-origin") == [origin.encode()]
