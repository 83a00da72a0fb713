"""`TrustedHostMiddleware`: which hosts are let in, and where the others are sent."""

from __future__ import annotations

from typing import Any

import pytest

from framework.middleware.trustedhost import TrustedHostMiddleware
from framework.responses import PlainTextResponse
from framework.types import Receive, Scope, Send
from tests.framework.asgi import Channel, build_scope, call

pytestmark = pytest.mark.anyio

HOSTS = ["example.com", "*.example.org", "www.example.net", "[::1]", "192.0.2.7"]


async def endpoint(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("let in")(scope, receive, send)
    else:
        await send({"type": f"{scope['type']}.passed"})


async def ask(hosts: list[str], *fields: str, **scope: Any) -> Channel:
    """Send a request with `Host` fields."""
    headers = [("host", field) for field in fields]
    path = scope.pop("path", "/")
    return await call(
        TrustedHostMiddleware(endpoint, hosts), build_scope(path, "GET", *headers, **scope)
    )


HOST_FIELDS = [
    ("example.com", True),
    ("EXAMPLE.com", True),
    ("example.com:8000", True),
    ("example.com:", True),
    ("example.com.", False),
    ("example.com:99999", True),
    ("example.com:80a", False),
    ("example.com.evil", False),
    ("evilexample.com", False),
    ("a.example.com", False),
    ("a.example.org", True),
    ("A.b.Example.ORG:1", True),
    ("example.org", False),
    (".example.org", False),
    ("..example.org", False),
    ("*.example.org", False),
    ("a'b.example.org", False),
    ("evil.com/.example.org", False),
    ("evil.com#.example.org", False),
    ("evil.com@a.example.org", False),
    ("a.example.org@evil.com", False),
    ("aexample.org", False),
    ("[::1]", True),
    ("[::1]:443", True),
    ("[0:0:0:0:0:0:0:1]", True),
    ("[::2]", False),
    ("[::1", False),
    ("::1", False),
    ("192.0.2.7:80", True),
    ("192.0.2.8", False),
    ("[v1.x]", False),
    ("", False),
    (" example.com", False),
    ("example.com, evil.com", False),
    ("example.com\x00", False),
    ("exämple.com", False),
    ("a" * 200 + ".example.org", True),
    ("a" * 250 + ".example.org", False),
]


@pytest.mark.parametrize(("field", "is_allowed"), HOST_FIELDS)
async def test_a_host_is_let_in_or_refused(field: str, is_allowed: bool) -> None:
    channel = await ask(HOSTS, field)
    assert channel.status == (200 if is_allowed else 400)
    assert channel.body == (b"let in" if is_allowed else b"Invalid host header")


@pytest.mark.parametrize("hosts", [HOSTS, ["*"]])
@pytest.mark.parametrize("fields", [(), ("example.com", "example.com"), ("a/b",), ("a b",)])
async def test_a_request_without_one_clear_host_is_refused(
    fields: tuple[str, ...], hosts: list[str]
) -> None:
    assert (await ask(hosts, *fields)).status == 400


async def test_a_star_lets_every_well_formed_host_in() -> None:
    assert (await ask(["*"], "anything.example:81")).status == 200


async def test_no_list_is_any_host() -> None:
    app = TrustedHostMiddleware(endpoint)
    assert (await call(app, build_scope("/", "GET", ("host", "any.example")))).status == 200


@pytest.mark.parametrize(
    ("field", "path", "location"),
    [
        ("example.net", "/a/b", b"http://www.example.net/a/b?q=1"),
        ("Example.NET:8000", "/", b"http://www.Example.NET:8000/?q=1"),
        ("example.net", "//evil.com/x", b"http://www.example.net/%2Fevil.com/x?q=1"),
        ("example.net", "/\\evil.com", b"http://www.example.net/%5Cevil.com?q=1"),
        (
            "example.net",
            "/\r\nset-cookie: a=b",
            b"http://www.example.net/%0D%0Aset-cookie:%20a=b?q=1",
        ),
    ],
)
async def test_the_redirect_to_www_stays_on_the_host(
    field: str, path: str, location: bytes
) -> None:
    channel = await ask(HOSTS, field, path=path, query_string=b"q=1")
    assert channel.status == 307
    assert channel.headers[b"location"] == location


async def test_the_redirect_can_be_switched_off() -> None:
    app = TrustedHostMiddleware(endpoint, ["www.example.net"], www_redirect=False)
    assert (await call(app, build_scope("/", "GET", ("host", "example.net")))).status == 400


@pytest.mark.parametrize(
    ("extensions", "kind"),
    [({"websocket.http.response": {}}, "websocket.http.response.start"), ({}, "websocket.close")],
)
@pytest.mark.parametrize("host", ["evil.com", "example.net"])
async def test_a_handshake_is_refused_in_the_way_the_server_can(
    host: str, extensions: dict[str, Any], kind: str
) -> None:
    channel = await ask(HOSTS, host, type="websocket", extensions=extensions)
    assert channel.messages[0]["type"] == kind


async def test_a_handshake_to_one_of_the_hosts_and_the_lifespan_pass() -> None:
    channel = await ask(HOSTS, "example.com", type="websocket")
    assert channel.messages == [{"type": "websocket.passed"}]
    channel = await call(TrustedHostMiddleware(endpoint, HOSTS), {"type": "lifespan"})
    assert channel.messages == [{"type": "lifespan.passed"}]


@pytest.mark.parametrize(
    ("hosts", "message"),
    [
        ([], "lets nobody in"),
        (["*.", "a.example"], "'*.', which no host is"),
        (["https://example.com", "a.example"], "without scheme"),
        (["example.com:8000", "a.example"], "port"),
        (["example.com/", "a.example"], "path"),
        (["::1", "a.example"], "brackets"),
        (["", "a.example"], "''"),
        ("a.example, example.org", "pass a list"),
    ],
)
async def test_what_no_host_field_could_match_is_warned_of(
    hosts: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = TrustedHostMiddleware(endpoint, hosts)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("framework.middleware.trustedhost", "WARNING")
    assert message in record.getMessage()
    for host, status in (("a.example", 200 if hosts else 400), ("example.com", 400), ("b.", 400)):
        assert (await call(app, build_scope("/", "GET", ("host", host)))).status == status


@pytest.mark.parametrize("hosts", [["*example.com"], ["a.*.com"]])
def test_a_star_stands_in_front_of_a_domain_or_alone(hosts: list[str]) -> None:
    with pytest.raises(ValueError, match="wildcard"):
        TrustedHostMiddleware(endpoint, hosts)


@pytest.mark.parametrize(
    ("host", "is_let_in"),
    [
        ("127.0.0.1:8000", True),
        ("[::1]", True),
        ("[fe80::1]:8000", True),
        ("localhost", True),
        ("localhost.", True),
        ("app", True),
        ("tabs.localhost:3000", True),
        ("example.com", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("1.2.3.4.5", False),
        ("1.2.3", False),
    ],
)
async def test_private_hosts_are_let_in_when_that_is_asked_for(host: str, is_let_in: bool) -> None:
    app = TrustedHostMiddleware(endpoint, ["example.com"], allow_private=True)
    channel = await call(app, build_scope("/", "GET", ("host", host)))
    assert channel.status == (200 if is_let_in else 400)


async def test_private_hosts_alone_are_a_list() -> None:
    channel = await call(
        TrustedHostMiddleware(endpoint, allow_private=True),
        build_scope("/", "GET", ("host", "example.com")),
    )
    assert channel.status == 400


async def test_a_host_that_is_refused_is_named_once_in_the_log_and_not_all_of_a_scanner(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = TrustedHostMiddleware(endpoint, HOSTS)
    for host in (
        "shop.example",
        "SHOP.example:80",
        "example.com",
        *map("h{}.example".format, range(50)),
    ):
        await call(app, build_scope("/", "GET", ("host", host)))
    assert "'shop.example'" in caplog.messages[0]
    assert "add it to allowed_hosts" in caplog.messages[0]
    assert len(caplog.messages) == len(set(caplog.messages)) == 10
