"""What a rate limit counts by: addresses, networks, users."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from framework.rate_limits import client_key, user_key
from framework.types import Scope
from tests.framework.asgi import build_scope


def client(host: str) -> Scope:
    return build_scope(client=(host, 1))


@pytest.mark.parametrize(
    ("host", "key"),
    [
        ("192.0.2.1", "client:192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "client:2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "client:2001:db8:1:2::/64"),
        ("2001:DB8:1:2:ffff::1", "client:2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "client:2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "client:192.0.2.1"),
        ("fe80::1%eth0", "client:fe80::/64"),
        ("not:an:address", "client:not:an:address"),
        ("", "client:"),
    ],
)
def test_an_ipv6_client_is_its_network(host: str, key: str) -> None:
    assert client_key(client(host)) == key


def test_clients_without_an_address_share_a_key() -> None:
    assert client_key(build_scope(client=None)) == "client:"


class Account:
    is_authenticated = True
    display_name = "Ann"
    identity = "17"


class Simple:
    is_authenticated = True
    display_name = "ann"

    @property
    def identity(self) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("user", "key"),
    [
        (Account(), "user:17"),
        (Simple(), "user:ann"),
        (SimpleNamespace(is_authenticated=True, display_name="bob"), "user:bob"),
        (SimpleNamespace(is_authenticated=False, display_name=""), "client:203.0.113.9"),
    ],
)
def test_a_user_is_its_identity_and_nobody_is_a_client(user: Any, key: str) -> None:
    assert user_key(build_scope(user=user)) == key


def test_without_authentication_the_client_counts() -> None:
    assert user_key(build_scope()) == "client:203.0.113.9"
