"""URLs: of requests, from text and from components; and paths that become URLs."""

from __future__ import annotations

import copy
import pickle
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import given, strategies as st
from starlette import datastructures as starlette

from framework.datastructures import URL, URLPath

SERVER = ("server.example", 8000)


def _scope(**changes: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": "http",
        "server": SERVER,
        "path": "/",
        "query_string": b"",
        "headers": [],
        **changes,
    }


def _host(value: str) -> list[tuple[bytes, bytes]]:
    return [(b"accept", b"*/*"), (b"host", value.encode("latin-1"))]


# Of a request


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "http://server.example:8000/"),
        ({"headers": _host("a.example")}, "http://a.example/"),
        ({"headers": _host("a.example:8000"), "path": "/x"}, "http://a.example:8000/x"),
        ({"scheme": "https", "server": ("a.example", 443)}, "https://a.example/"),
        ({"scheme": "wss", "server": ("a.example", 443)}, "wss://a.example/"),
        ({"scheme": "ws", "server": ("a.example", 443)}, "ws://a.example:443/"),
        ({"scheme": "h2c", "server": ("a.example", 80)}, "h2c://a.example:80/"),
        ({"server": ["::1", 80]}, "http://[::1]/"),
        ({"server": ("fe80::1%eth0", 8000)}, "http://[fe80::1]:8000/"),
        ({"headers": _host("[::1]:8000")}, "http://[::1]:8000/"),
        ({"query_string": b"a=1&b=%20"}, "http://server.example:8000/?a=1&b=%20"),
        ({"query_string": b"a#b"}, "http://server.example:8000/?a%23b"),
        ({"query_string": b"a=\xff"}, "http://server.example:8000/?a=%FF"),
        ({"path": "/a?b#c"}, "http://server.example:8000/a%3Fb%23c"),
        ({"path": "//evil.example/x"}, "http://server.example:8000/%2Fevil.example/x"),
        ({"path": "@evil.example"}, "http://server.example:8000/@evil.example"),
        ({"path": "/café/a b"}, "http://server.example:8000/café/a b"),
        ({"path": ""}, "http://server.example:8000"),
        ({"server": None}, "/"),
        ({"server": None, "path": "//evil.example", "query_string": b"a"}, "/%2Fevil.example?a"),
        ({"server": None, "path": "javascript:x"}, "/javascript:x"),
        ({"server": ("/run/app.sock", None)}, "/"),
        ({"server": ("not a host", 80)}, "/"),
    ],
)
def test_the_url_of_a_request(changes: dict[str, Any], url: str) -> None:
    ours = URL(scope=_scope(**changes))
    assert str(ours) == url
    assert ours == url
    assert repr(ours) == f"URL({url!r})"
    assert ours.components == urlsplit(url)


def test_a_scope_needs_no_more_than_path_and_is_not_changed() -> None:
    scope = {"path": "/x"}
    assert str(URL(scope=scope)) == "/x"
    assert scope == {"path": "/x"}


@pytest.mark.parametrize(
    "host",
    [
        "a/?",
        "a#",
        "a\\",
        "a@b",
        "user@evil.example",
        "a b",
        "a:99999",
        "[::1",
        "a,b",
        "",
        "a/admin?",
    ],
)
def test_a_malformed_host_is_replaced_by_the_server(host: str) -> None:
    url = URL(scope=_scope(headers=_host(host), path="/admin"))
    assert str(url) == "http://server.example:8000/admin"


HOSTS = (
    st.binary(max_size=24).map(lambda raw: raw.decode("latin-1"))
    | st.text(alphabet="aZ0.-_%[]:1/?#\\@, \t&=;", max_size=20)
    | st.from_regex(r"\A[a-zA-Z0-9.-]{1,20}(:[0-9]{0,6})?\Z")
    | st.sampled_from(["a/?", "a#", "a\\", "a@b", "a b", "[::1", "[::1]:80", "evil@", "x:80@evil"])
)
PATHS = st.just("") | (st.text() | st.text(alphabet="/\\?#%@:.;a\t\r\n\0 é", max_size=20)).map(
    lambda text: "/" + text
)


@given(
    host=HOSTS | st.none(),
    path=PATHS,
    query=st.binary(max_size=12),
    server=st.sampled_from([SERVER, ("::1", 80), None]),
)
def test_the_path_of_the_url_is_the_path_that_was_routed(
    host: str | None, path: str, query: bytes, server: tuple[str, int] | None
) -> None:
    headers = [] if host is None else _host(host)
    url = URL(scope=_scope(headers=headers, path=path, query_string=query, server=server))
    parts = urlsplit(str(url))
    assert unquote(parts.path) == unquote(url.path) == path
    assert parts == url.components
    assert parts.fragment == ""
    assert (parts.username, parts.password) == (None, None)
    hostnames = {server and server[0], host and host.rpartition(":")[0].strip("[]").lower()}
    hostnames.add(host and host.strip("[]").lower())
    assert parts.hostname in hostnames
    if parts.netloc == "":
        assert urlsplit(urljoin("http://base/", str(url))).netloc == "base"
    else:
        assert parts.scheme == "http"


@given(st.from_regex(r"\A[A-Za-z0-9_.-]{1,20}\Z"), st.none() | st.integers(0, 65535), PATHS)
def test_a_well_formed_host_is_the_host_of_the_url(host: str, port: int | None, path: str) -> None:
    header = host if port is None else f"{host}:{port}"
    url = URL(scope=_scope(headers=_host(header), path=path))
    assert (url.hostname, url.port, url.netloc) == (host.lower(), port, header)
    assert unquote(url.path) == path


@given(
    host=st.sampled_from(["a.example", "a.example:80", "[::1]:8000", "a@b", ""]),
    path=st.from_regex(r"\A(/[a-zé ?#\\]{1,5}){0,3}\Z"),
    query=st.from_regex(r"\A[a-z=&+]{0,8}\Z"),
    scheme=st.sampled_from(["http", "https", "ws", "wss"]),
)
def test_usual_requests_have_the_same_url_as_in_starlette(
    host: str, path: str, query: str, scheme: str
) -> None:
    scope = _scope(headers=_host(host), path=path, query_string=query.encode(), scheme=scheme)
    assert str(URL(scope=scope)) == str(starlette.URL(scope=scope))


# From text and components


def test_the_parts_of_a_url() -> None:
    url = URL("https://User:pw@Example.org:123/path/x?a=1#frag")
    assert (url.scheme, url.netloc) == ("https", "User:pw@Example.org:123")
    assert (url.username, url.password, url.hostname, url.port) == (
        "User",
        "pw",
        "example.org",
        123,
    )
    assert (url.path, url.query, url.fragment) == ("/path/x", "a=1", "frag")
    assert url.is_secure
    assert not URL("http://a").is_secure
    assert str(URL()) == ""


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:pw@a.example/x", "https://u:********@a.example/x"),
        ("https://:pw@a.example/x", "https://:********@a.example/x"),
        ("//u:p:w@x@a.example", "//u:********@a.example"),
        ("http://u:pw@a:99999999/", "http://u:********@a:99999999/"),
        ("http://u:pw@[/", "http://u:********@[/"),
        ("https://u@a.example:1/x", "https://u@a.example:1/x"),
        ("https://a.example/x//u:pw@b", "https://a.example/x//u:pw@b"),
    ],
)
def test_the_representation_hides_the_password(url: str, shown: str) -> None:
    assert repr(URL(url)) == f"URL({shown!r})"


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "/x", "scope": _scope()},
        {"url": "/x", "path": "/y"},
        {"scope": _scope(), "path": "/y"},
    ],
)
def test_two_sources_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="alternatives"):
        URL(**arguments)


def test_an_unknown_component_is_refused_with_the_known_ones() -> None:
    with pytest.raises(TypeError, match=r"\['host'\].*'hostname'"):
        URL("http://a").replace(host="b")


def test_a_path_alone_never_becomes_an_authority() -> None:
    assert str(URL(path="//evil.example/x")) == "/%2Fevil.example/x"
    assert str(URL("/x").replace(path="//evil.example")) == "/%2Fevil.example"


def test_query_parameters_are_added_replaced_and_removed() -> None:
    url = URL("https://a.example/x?a=1&b=2&a=3#f")
    assert str(url.include_query_params(a=4, c="d e")) == "https://a.example/x?b=2&a=4&c=d+e#f"
    assert str(url.replace_query_params(c=5)) == "https://a.example/x?c=5#f"
    assert str(url.replace_query_params()) == "https://a.example/x#f"
    assert str(url.remove_query_params("a")) == "https://a.example/x?b=2#f"
    assert str(url.remove_query_params(["a", "b", "z"])) == "https://a.example/x#f"


def test_a_url_can_be_copied_and_pickled_and_a_subclass_stays_one() -> None:
    class OurURL(URL):
        pass

    url = OurURL("https://a.example/x")
    assert copy.copy(url) == copy.deepcopy(url) == url
    assert isinstance(url.replace(path="/y"), OurURL)
    assert repr(url.replace(path="/y")) == "OurURL('https://a.example/y')"
    scoped = URL(scope=_scope())
    assert pickle.loads(pickle.dumps(scoped)) == scoped


URLS = st.sampled_from(
    [
        "/x",
        "/x?q=1#f",
        "https://u:p@a.example:1/x?q#f",
        "http://u@[::1]:80/",
        "http://:pw@a/",
        "mailto:x@y",
        "http://u:@a/",
        "//u:p@a/x",
        "http://a.example?q",
        "http://a:0/",
        "x/y",
        "?q",
        "#f",
    ]
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "scheme": st.sampled_from(["http", "wss", ""]),
        "username": st.sampled_from(["me", None]),
        "password": st.sampled_from(["secret", None]),
        "hostname": st.sampled_from(["b.example", "fe80::2", "[::3]", "x:y", None]),
        "port": st.sampled_from([8080, None]),
        "path": st.sampled_from(["/z", "z", ""]),
        "query": st.sampled_from(["k=v", ""]),
        "fragment": st.sampled_from(["frag", ""]),
    },
)


def _replaced(url: Any, changes: dict[str, Any]) -> str:
    try:
        return str(url.replace(**changes))
    except (TypeError, ValueError) as exc:
        return type(exc).__name__


@given(URLS, CHANGES)
def test_replacing_components_gives_the_same_url_as_in_starlette(
    url: str, changes: dict[str, Any]
) -> None:
    assert _replaced(URL(url), changes) == _replaced(starlette.URL(url), changes)
    if changes:
        assert _replaced(URL(), changes) == _replaced(starlette.URL(""), changes)


# Paths of routes


@pytest.mark.parametrize(
    ("path", "protocol", "host", "base", "url"),
    [
        ("/x", "", "", "https://a.example/", "https://a.example/x"),
        ("/x", "http", "", "https://a.example:8000/root/", "https://a.example:8000/root/x"),
        ("/x", "http", "", "wss://a.example", "https://a.example/x"),
        ("/x", "websocket", "", "https://a.example", "wss://a.example/x"),
        ("/x", "websocket", "", "http://a.example", "ws://a.example/x"),
        ("/x", "http", "b.example", "http://a.example", "http://b.example/x"),
        ("//evil.example", "http", "", "/", "http:///%2Fevil.example"),
    ],
)
def test_a_path_becomes_a_url_below_a_base(
    path: str, protocol: Any, host: str, base: str, url: str
) -> None:
    for base_url in (base, URL(base)):
        absolute = URLPath(path, protocol=protocol, host=host).make_absolute_url(base_url)
        assert str(absolute) == url
    theirs = starlette.URLPath(path, protocol=protocol, host=host)
    assert str(theirs.make_absolute_url(base)) == url


def test_a_path_is_text_with_protocol_and_host() -> None:
    path = URLPath("/x", protocol="websocket", host="a.example")
    assert path == "/x"
    assert (path.protocol, path.host) == ("websocket", "a.example")
    assert (URLPath(path="/x").protocol, URLPath("/x").host) == ("", "")
    assert pickle.loads(pickle.dumps(path)).host == "a.example"


def test_another_protocol_is_refused() -> None:
    with pytest.raises(ValueError, match="'ftp'"):
        URLPath("/x", protocol="ftp")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "escaped"),
    [
        ("//evil.example", "/%2Fevil.example"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("/\t/evil.example", "/%09/evil.example"),
        ("/a\r\nb", "/a%0D%0Ab"),
    ],
)
def test_a_path_leads_to_no_other_host(path: str, escaped: str) -> None:
    assert URLPath(path) == escaped
