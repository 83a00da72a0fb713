"""`URL` and `URLPath`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import AddressValueError, IPv6Address
from typing import Any, Final, Literal, Self
from urllib.parse import SplitResult, urlencode, urlsplit

from framework._http.hosts import find_host
from framework._http.paths import escape_leading_slashes, escape_misread, quote_path
from framework._http.queries import parse_query, quote_query
from framework.datastructures.multidict import MultiDict
from framework.types import Scope

__all__ = ["URL", "URLPath"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SCHEMES: Final = {
    ("http", False): "http",
    ("http", True): "https",
    ("websocket", False): "ws",
    ("websocket", True): "wss",
}
_AUTHORITY_PARTS: Final = frozenset({"username", "password", "hostname", "port"})
_PASSWORD = re.compile(r"\A([^/?#]*//[^/?#:]*):[^/?#]+@")


class URL:
    """A URL, immutable.

    Args:
        url: the text of the URL.
        scope: an ASGI scope. Its path is the path of the URL, whatever path and `Host` field look
            like; a malformed `Host` is replaced by the server's address, and without that the URL is
            relative.
        **components: `scheme`, `netloc` (or `username`, `password`, `hostname`, `port`), `path`,
            `query`, `fragment`.

    Raises:
        TypeError: more than one source, or an unknown component.
    """

    __slots__ = ("_components", "_url")

    _url: str | None
    _components: SplitResult | None

    def __init__(self, url: str = "", scope: Scope | None = None, **components: Any) -> None:
        if bool(url) + (scope is not None) + bool(components) > 1:
            raise TypeError("url, scope and components are alternatives: pass one of them")
        self._components = None
        self._url = None
        if scope is not None:
            self._components = _read_scope(scope)
        elif components:
            self._url = _unsplit(_replace(urlsplit(""), components))
        else:
            self._url = url

    @property
    def components(self) -> SplitResult:
        """The parts, as `urllib.parse.urlsplit` names them."""
        if self._components is None:
            self._components = urlsplit(str(self))
        return self._components

    @property
    def scheme(self) -> str:
        """`https` and the like, empty when the URL is relative."""
        return self.components.scheme

    @property
    def netloc(self) -> str:
        """User, host and port, as written."""
        return self.components.netloc

    @property
    def path(self) -> str:
        """The path; for the URL of a request, unquoting it gives the path that was routed."""
        return self.components.path

    @property
    def query(self) -> str:
        """The query string without its question mark."""
        return self.components.query

    @property
    def fragment(self) -> str:
        """What follows the `#`."""
        return self.components.fragment

    @property
    def username(self) -> str | None:
        """The user before the host."""
        return self.components.username

    @property
    def password(self) -> str | None:
        """The password before the host."""
        return self.components.password

    @property
    def hostname(self) -> str | None:
        """The host in lower case, without brackets."""
        return self.components.hostname

    @property
    def port(self) -> int | None:
        """The port as written; None when it is not, whatever the scheme."""
        return self.components.port

    @property
    def is_secure(self) -> bool:
        """Whether the scheme is https or wss."""
        return self.scheme in ("https", "wss")

    def replace(self, **kwargs: Any) -> URL:
        """Return the URL with these components, named as in the constructor, instead of its own."""
        return self.__class__(_unsplit(_replace(self.components, kwargs)))

    def include_query_params(self, **kwargs: Any) -> URL:
        """Return the URL with these parameters added, or instead of those of the same names."""
        params = MultiDict(parse_query(self.query))
        params.update({name: str(value) for name, value in kwargs.items()})
        return self.replace(query=urlencode(params.multi_items()))

    def replace_query_params(self, **kwargs: Any) -> URL:
        """Return the URL with these parameters and no others."""
        return self.replace(query=urlencode([(name, str(value)) for name, value in kwargs.items()]))

    def remove_query_params(self, keys: str | Sequence[str]) -> URL:
        """Return the URL without the parameter, or parameters, of these names."""
        params = MultiDict(parse_query(self.query))
        for key in [keys] if isinstance(keys, str) else keys:
            params.pop(key)
        return self.replace(query=urlencode(params.multi_items()))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other)

    def __str__(self) -> str:
        if self._url is None:
            self._url = _unsplit(self.components)
        return self._url

    def __repr__(self) -> str:
        # By pattern, since a malformed URL must have a representation too.
        url = _PASSWORD.sub(r"\1:********@", str(self))
        return f"{self.__class__.__name__}({url!r})"


def _read_scope(scope: Scope) -> SplitResult:
    path = quote_path(scope["path"])
    query = quote_query(scope.get("query_string", b""))
    scheme: str = scope.get("scheme", "http")
    netloc = _find_authority(scope, scheme)
    if netloc is None:
        return SplitResult("", "", path, query, "")
    return SplitResult(scheme, netloc, path, query, "")


def _find_authority(scope: Scope, scheme: str) -> str | None:
    for name, value in scope.get("headers", ()):
        if name == b"host":
            parsed = find_host(value.decode("latin-1"))
            if parsed is not None:
                return parsed.authority
            break
    host, port = scope.get("server") or ("", None)
    if port is None:  # unknown, or a Unix socket
        return None
    if ":" in host:
        # The zone of a link-local address (`%eth0`) means nothing to others (RFC 6874).
        host = f"[{host.strip('[]').partition('%')[0]}]"
    parsed = find_host(host if port == _DEFAULT_PORTS.get(scheme) else f"{host}:{port}")
    return None if parsed is None else parsed.authority


def _replace(components: SplitResult, changes: dict[str, Any]) -> SplitResult:
    if not _AUTHORITY_PARTS.isdisjoint(changes):
        parts = {name: changes[name] for name in _AUTHORITY_PARTS if name in changes}
        changes = {name: value for name, value in changes.items() if name not in parts}
        changes["netloc"] = _build_authority(components, **parts)
    unknown = changes.keys() - set(components._fields)
    if unknown:
        known = sorted({*components._fields, *_AUTHORITY_PARTS})
        raise TypeError(f"unknown URL components {sorted(unknown)!r}; there are {known!r}")
    return components._replace(**changes)


def _build_authority(components: SplitResult, **parts: Any) -> str:
    host = parts.get("hostname")
    if host is None:
        host = components.netloc.rpartition("@")[2]
        if not host.endswith("]"):
            host = host.rsplit(":", 1)[0]
    elif ":" in host and not host.startswith("["):
        try:
            IPv6Address(host)
        except AddressValueError:
            pass
        else:
            host = f"[{host}]"
    port = parts.get("port", components.port)
    username = parts.get("username", components.username)
    password = parts.get("password", components.password)
    authority = host if port is None else f"{host}:{port}"
    if username is None:
        return str(authority)
    return f"{username}@{authority}" if password is None else f"{username}:{password}@{authority}"


def _unsplit(components: SplitResult) -> str:
    if not components.netloc:
        components = components._replace(path=escape_leading_slashes(components.path))
    return components.geturl()


class URLPath(str):
    """A path of the application, with the protocol and the host of the route it leads to.

    Args:
        path: the path of the URL; what browsers would read as another host is escaped.
        protocol: `http`, `websocket`, or empty when the route takes any.
        host: the host of the route, empty when it takes any.

    Raises:
        ValueError: another protocol.
    """

    __slots__ = ("host", "protocol")

    protocol: Literal["http", "websocket", ""]
    host: str

    def __new__(
        cls, path: str, protocol: Literal["http", "websocket", ""] = "", host: str = ""
    ) -> Self:
        if protocol not in {"http", "websocket", ""}:
            raise ValueError(f"protocol {protocol!r} is none of 'http', 'websocket' and ''")
        self = super().__new__(cls, escape_misread(path))
        self.protocol = protocol
        self.host = host
        return self

    def make_absolute_url(self, base_url: str | URL) -> URL:
        """Return the URL of this path below `base_url`, secure when that is."""
        if isinstance(base_url, str):
            base_url = URL(base_url)
        scheme = base_url.scheme
        if self.protocol:
            scheme = _SCHEMES[self.protocol, base_url.is_secure]
        path = base_url.path.rstrip("/") + str(self)
        return URL(scheme=scheme, netloc=self.host or base_url.netloc, path=path)
