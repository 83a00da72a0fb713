"""Who the client is, by what proxies say."""

from __future__ import annotations

import time
from typing import Any

import pytest

from framework.server.forwarded import ForwardedMiddleware
from framework.types import Receive, Scope, Send
from tests.framework.asgi import build_scope

pytestmark = pytest.mark.anyio

PROXY = ("10.0.0.1", 5000)


async def find(trusted: str, *fields: tuple[str, str], **changes: Any) -> tuple[Any, str]:
    """Return client and scheme as the application sees them; the peer is 10.0.0.1."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    scope = build_scope("/", "GET", *fields, **{"client": PROXY, **changes})
    unused: Any = None
    await ForwardedMiddleware(app, trusted)(scope, unused, unused)
    return seen[0]["client"], seen[0]["scheme"]


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("203.0.113.7", ("203.0.113.7", 0)),
        ("203.0.113.7:4711", ("203.0.113.7", 4711)),
        ("2001:db8::7", ("2001:db8::7", 0)),
        ("[2001:db8::7]", ("2001:db8::7", 0)),
        ("[2001:db8::7]:4711", ("2001:db8::7", 4711)),
        ("::ffff:203.0.113.7", ("203.0.113.7", 0)),
        ("6.6.6.6, 203.0.113.7, 10.9.9.9", ("203.0.113.7", 0)),
        ("6.6.6.6,203.0.113.7,::ffff:10.9.9.9 , 10.0.0.2", ("203.0.113.7", 0)),
        ("127.0.0.1, 203.0.113.7", ("203.0.113.7", 0)),
        # All are proxies: the one the chain begins with.
        ("10.0.0.3, 10.0.0.2", ("10.0.0.3", 0)),
        # The last hop that is known.
        ("203.0.113.7, unknown, 10.0.0.2", ("10.0.0.2", 0)),
        ("unknown", PROXY),
        ("", PROXY),
        (" , ", PROXY),
        ("<script>", PROXY),
        ("203.0.113.7:port", PROXY),
        ("203.0.113.7:99999", PROXY),
        ("203.0.113.7:", PROXY),
        ("[2001:db8::7", PROXY),
        ("[2001:db8::7]4711", PROXY),
        ("203.0.113.7" + " " * 100, PROXY),
        ("\u0661.2.3.4", PROXY),
        ("1.2.3.4:\xb2", PROXY),
    ],
)
async def test_the_first_hop_that_is_no_proxy_is_the_client(
    chain: str, client: tuple[str, int]
) -> None:
    text = chain.encode().decode("latin-1")
    assert (await find("10.0.0.0/8, ::1", ("X-Forwarded-For", text)))[0] == client


async def test_repeated_fields_are_one_chain() -> None:
    fields = [("X-Forwarded-For", hop) for hop in ("6.6.6.6", "203.0.113.7", "10.0.0.2")]
    assert (await find("10.0.0.0/8", *fields))[0] == ("203.0.113.7", 0)


@pytest.mark.parametrize("hop", ["10.0.0.2", "203.0.113.7", "::1", "unknown"])
async def test_a_thousand_hops_cost_little(hop: str) -> None:
    begun = time.thread_time()
    client, _ = await find("10.0.0.0/8,::1", ("X-Forwarded-For", ",".join([hop] * 1000)))
    assert time.thread_time() - begun < 0.05
    assert client == (PROXY if hop == "unknown" else (hop, 0))


async def test_a_chain_of_many_different_proxies_ends() -> None:
    hops = [f"10.{i // 256}.{i % 256}.1" for i in range(5000)]
    client, _ = await find("10.0.0.0/8", ("X-Forwarded-For", ",".join(hops)))
    assert client == (hops[-100], 0)


@pytest.mark.parametrize("trusted", ["192.0.2.1", "10.0.0.2", "10.0.0.0/32", "::/0", ""])
async def test_a_client_that_is_no_proxy_is_not_believed(trusted: str) -> None:
    fields = [("X-Forwarded-For", "127.0.0.1"), ("X-Forwarded-Proto", "https")]
    assert await find(trusted, *fields) == (PROXY, "http")


async def test_with_a_star_everybody_is_believed() -> None:
    fields = [("X-Forwarded-For", "203.0.113.7, 6.6.6.6"), ("X-Forwarded-Proto", "https")]
    assert await find("*", *fields) == (("203.0.113.7", 0), "https")


async def test_the_peer_of_a_unix_socket_is_believed() -> None:
    fields = [("X-Forwarded-For", "203.0.113.7")]
    where = {"client": None, "server": ("/run/web.sock", None)}
    assert (await find("", *fields, **where))[0] == ("203.0.113.7", 0)


async def test_a_peer_that_was_gone_too_early_is_not_believed() -> None:
    fields = [("X-Forwarded-For", "203.0.113.7")]
    assert (await find("127.0.0.1", *fields, client=None))[0] is None
    assert (await find("127.0.0.1", *fields, client=None, server=None))[0] is None


async def test_an_ipv4_proxy_is_known_on_a_socket_for_both_families() -> None:
    fields = [("X-Forwarded-For", "203.0.113.7")]
    peer = ("::ffff:10.0.0.1", 5000)
    assert (await find("10.0.0.0/8", *fields, client=peer))[0] == ("203.0.113.7", 0)


@pytest.mark.parametrize(
    ("values", "scheme"),
    [
        (["https"], "https"),
        (["HTTPS "], "https"),
        (["wss"], "https"),
        (["http, https"], "https"),
        (["http", "https"], "https"),
        (["https", "javascript"], "http"),
        (["https,"], "http"),
    ],
)
async def test_the_scheme_is_what_the_nearest_proxy_says(values: list[str], scheme: str) -> None:
    fields = [("X-Forwarded-Proto", value) for value in values]
    assert (await find("10.0.0.0/8", *fields))[1] == scheme
    secure = await find("10.0.0.0/8", *fields, type="websocket", scheme="ws")
    assert secure[1] == scheme.replace("http", "ws")


async def test_the_lifespan_passes() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    unused: Any = None
    await ForwardedMiddleware(app, "*")({"type": "lifespan"}, unused, unused)
    assert seen == [{"type": "lifespan"}]


@pytest.mark.parametrize("trusted", ["localhost", "10.0.0.0/33", "10.0.0.1/8"])
def test_what_is_no_network_is_refused(trusted: str) -> None:
    with pytest.raises(ValueError, match=trusted):
        ForwardedMiddleware(build_scope, trusted)  # type: ignore[arg-type]
