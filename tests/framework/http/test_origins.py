"""Origins: what is one, and who is the sender of a request."""

from __future__ import annotations

import pytest

from framework._http.origins import Origin, find_origin, is_from_own_origin


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.org", Origin("https", "example.org", 443)),
        ("HTTP://Example.org:080", Origin("http", "example.org", 80)),
        ("https://[2001:db8::1]:8443", Origin("https", "[2001:db8::1]", 8443)),
        ("chrome-extension://abc", Origin("chrome-extension", "abc", None)),
        ("null", None),
        ("", None),
        ("https://", None),
        ("//example.org", None),
        ("https://example.org/", None),
        ("https://example.org?a", None),
        ("https://user@example.org", None),
        ("https://example.org\n", None),
        ("https://example.org, https://example.org", None),
        ("https://example.org:99999", None),
        ("\u212bhttps://example.org", None),
    ],
)
def test_an_origin_is_scheme_host_and_port(text: str, origin: Origin | None) -> None:
    assert find_origin(text) == origin


HOST = (b"host", b"example.org")


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ([HOST], True),
        ([HOST, (b"sec-fetch-site", b"same-origin")], True),
        ([HOST, (b"sec-fetch-site", b"same-origin"), (b"sec-fetch-site", b"none")], False),
        ([HOST, (b"origin", b"https://example.org"), (b"origin", b"https://example.org")], False),
        ([HOST, HOST, (b"origin", b"https://example.org")], False),
        ([HOST, (b"origin", b"null"), (b"referer", b"https://example.org/")], False),
        ([HOST, (b"referer", b"https://example.org/a"), (b"referer", b"x")], False),
        ([HOST, (b"referer", b"about:blank")], False),
        ([(b"origin", b"https://example.org")], False),
    ],
)
def test_the_sender_is_found(headers: list[tuple[bytes, bytes]], is_own: bool) -> None:
    assert is_from_own_origin(headers) is is_own


def test_a_trusted_sender_may_come_from_another_site() -> None:
    headers = [HOST, (b"sec-fetch-site", b"cross-site"), (b"origin", b"https://a.example")]
    assert is_from_own_origin(headers, {Origin("https", "a.example", 443)})
    assert not is_from_own_origin(headers, {Origin("http", "a.example", 80)})
    assert not is_from_own_origin(headers)
