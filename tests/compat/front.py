"""Differences of CORS, compression, trusted hosts and the redirect to TLS: reason, place, expectation."""

from __future__ import annotations

import gzip
from dataclasses import replace
from typing import Final

from tests.compat.cases.compression import TEXT
from tests.compat.expectations import Expect, set_body, set_header
from tests.compat.harness import Result

_TEXT_TYPE: Final = ("content-type", "text/plain; charset=utf-8")


def drop_headers(result: Result, *names: str) -> Result:
    """Remove header fields."""
    return replace(
        result, headers=tuple(field for field in result.headers if field[0] not in names)
    )


def pass_cors(theirs: Result, ours: Result) -> Result:
    added = ours.headers[len(theirs.headers) :]
    is_ours = ours.headers[: len(theirs.headers)] == theirs.headers and ("vary", "Origin") in added
    return replace(theirs, headers=ours.headers) if is_ours else theirs


def say_nothing_to_foreigners(theirs: Result, _: Result) -> Result:
    is_allowed = theirs.find_header("access-control-allow-origin") is not None
    if is_allowed and b"Disallowed CORS origin" not in b"".join(theirs.chunks):
        return theirs
    names = [name for name, _ in theirs.headers if name.startswith("access-control-")]
    return drop_headers(theirs, *names)


def allow_preflight(theirs: Result, _: Result) -> Result:
    return set_body(replace(theirs, status=200), b"OK")


def refuse_host(theirs: Result, _: Result) -> Result:
    refused = replace(theirs, status=400, headers=(("content-length", "0"), _TEXT_TYPE))
    return set_body(refused, b"Invalid host header")


def keep_order(theirs: Result, ours: Result) -> Result:
    is_same = sorted(theirs.headers) == sorted(ours.headers)
    return replace(theirs, headers=ours.headers) if is_same else theirs


def redirect_to(url: str) -> Expect:
    return lambda theirs, _: set_header(theirs, "location", url)


def weaken_tag(theirs: Result, _: Result) -> Result:
    if theirs.find_header("content-encoding") is None:
        return theirs
    return drop_headers(set_header(theirs, "etag", 'W/"a"'), "accept-ranges")


def describe_variant(tag: str) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        tagged = set_header(theirs, "etag", tag)
        return replace(tagged, headers=(*tagged.headers, ("vary", "Accept-Encoding")))

    return expect


def send_as_it_is(body: bytes, *drop: str) -> Expect:
    def expect(theirs: Result, _: Result) -> Result:
        return set_body(drop_headers(theirs, "content-encoding", *drop), body)

    return expect


def send_gzip(theirs: Result, ours: Result) -> Result:
    body = b"".join(ours.chunks)
    if body == TEXT or gzip.decompress(body) != TEXT:
        return theirs
    compressed = set_body(theirs, body)
    return replace(compressed, headers=(*compressed.headers, ("content-encoding", "gzip")))


def send_no_length(theirs: Result, ours: Result) -> Result:
    if theirs.find_header("content-encoding") is None:
        return theirs
    return replace(drop_headers(theirs, "content-length"), chunks=ours.chunks)


ROWS: Final[tuple[tuple[str, str, Expect], ...]] = (
    (
        "An unhandled 500 has its CORS fields, so that the browser shows it.",
        r"cors \w+: GET /fail .*",
        pass_cors,
    ),
    (
        "An origin that is not allowed gets no CORS field at all.",
        r"cors \w+: (GET|OPTIONS) / from .*",
        say_nothing_to_foreigners,
    ),
    (
        "The order of fields with different names means nothing (RFC 9110 section 5.3).",
        r"cors everybody: .*",
        keep_order,
    ),
    (
        "Empty members of a list mean nothing (RFC 9110 section 5.6.1.2).",
        r"cors lists: .*",
        allow_preflight,
    ),
    (
        "Two Host fields are none; a missing or malformed one is refused though any host is allowed.",
        r"(trusted hosts: GET / to two|any host: GET / to ('a b'|nobody))",
        refuse_host,
    ),
    (
        "Without one well-formed Host there is no URL to redirect to; the server's address is not told.",
        r"https: GET / to ('a b'|'a/b'|'a@b'|''|nobody)",
        refuse_host,
    ),
    (
        "An empty port is none.",
        r"https: GET / to 'a\.example:'",
        redirect_to("https://a.example/"),
    ),
    (
        "An IPv6 address keeps its brackets.",
        r"https: GET / to '\[::1\]:80'",
        redirect_to("https://[::1]/"),
    ),
    (
        "Vary names Accept-Encoding once.",
        r"gzip: GET /varied .*",
        lambda theirs, _: set_header(theirs, "vary", "Cookie, Accept-Encoding"),
    ),
    (
        "The tag of a compressed body is weak, and it has no ranges.",
        r"gzip: GET /tagged .*",
        weaken_tag,
    ),
    (
        "A 304 has the tag that a compressed 200 has, and its Vary (RFC 9110 section 15.4.5).",
        r"gzip: GET /known as gzip.*",
        describe_variant('W/"a"'),
    ),
    (
        "A 304 has the Vary of its 200 (RFC 9110 section 15.4.5).",
        r"gzip: GET /known as None",
        describe_variant('"a"'),
    ),
    (
        "Cache-Control: no-transform is respected.",
        r"gzip: GET /kept .*",
        send_as_it_is(TEXT, "vary"),
    ),
    (
        "Nothing is compressed for HEAD, so the length is not known.",
        r"gzip: HEAD .*",
        send_no_length,
    ),
    (
        "Accept-Encoding is read, not searched (RFC 9110 section 12.5.3).",
        r"gzip by weight: GET /text as (gzip;q=0|identity, gzip;q=0\.5|not-gzip)",
        send_as_it_is(TEXT),
    ),
    (
        "Codings are written in any case, and * is any coding.",
        r"gzip by weight: GET /text as (GZIP|\*)",
        send_gzip,
    ),
)
