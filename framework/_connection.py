"""`HTTPConnection`: what a request and a WebSocket have in common."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Generic

if sys.version_info >= (3, 13):
    from typing import TypeVar
else:
    from typing_extensions import TypeVar

from framework._http.cookies import parse_cookies
from framework.datastructures import URL, Address, Headers, QueryParams, State
from framework.exceptions import MissingMiddleware
from framework.types import Receive, Scope, URLPathProvider

# Where a response that watches its client puts what it shares `receive` by: `responses._watching`.
SHARED_RECEIVE_SCOPE_KEY = "framework.shared_receive"

StateT = TypeVar("StateT", bound="Mapping[str, Any] | State", default=State)


class HTTPConnection(Mapping[str, Any], Generic[StateT]):
    """What a request and a WebSocket have in common: a read-only view of the ASGI scope.

    PERF: what is parsed (headers, URL, query, cookies) is parsed when first asked for and kept in the
    instance; `__init__` stores references only, and what is None is not parsed yet. Instances have a `__dict__`, as handlers and other
    people's subclasses put attributes of their own on them.
    """

    _url: URL | None = None
    _base_url: URL | None = None
    _headers: Headers | None = None
    _query_params: QueryParams | None = None
    _cookies: dict[str, str] | None = None
    _state: Any = None

    def __init__(self, scope: Scope, receive: Receive | None = None) -> None:
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"scope type {scope['type']!r} is no connection; http or websocket is")
        self.scope = scope

    def __getitem__(self, key: str) -> Any:
        return self.scope[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.scope)

    def __len__(self) -> int:
        return len(self.scope)

    # A connection equals nothing but itself, whatever Mapping says.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def app(self) -> Any:
        """The application that handles this connection."""
        return self.scope["app"]

    @property
    def url(self) -> URL:
        """The URL of the request; its path is always the path that was routed."""
        url = self._url
        if url is None:
            url = self._url = URL(scope=self.scope)
        return url

    @property
    def base_url(self) -> URL:
        """The URL at which the application is mounted, ending in a slash."""
        if self._base_url is not None:
            return self._base_url
        scope = self.scope
        root_path = scope.get("app_root_path", scope.get("root_path", ""))
        path = root_path if root_path.endswith("/") else root_path + "/"
        base = {**scope, "path": path, "query_string": b"", "root_path": root_path}
        self._base_url = URL(scope=base)
        return self._base_url

    @property
    def headers(self) -> Headers:
        """The header fields, names in any case."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers(raw=self.scope["headers"])
        return headers

    @property
    def query_params(self) -> QueryParams:
        """The parameters of the query string."""
        params = self._query_params
        if params is None:
            params = self._query_params = QueryParams(self.scope["query_string"])
        return params

    @property
    def path_params(self) -> dict[str, Any]:
        """The converted parameters of the path."""
        try:
            params: dict[str, Any] = self.scope["path_params"]
        except KeyError:
            return {}
        return params

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies by name."""
        cookies = self._cookies
        if cookies is None:
            cookies = self._cookies = {}
            for name, value in self.scope["headers"]:
                if name == b"cookie":
                    cookies |= parse_cookies(value.decode("latin-1"))
        return cookies

    @property
    def client(self) -> Address | None:
        """Host and port of the peer; None when the server does not know them."""
        host_port = self.scope.get("client")
        return None if host_port is None else Address(*host_port)

    @property
    def session(self) -> dict[str, Any]:
        """The session. Raises `MissingMiddleware` without a `SessionMiddleware`."""
        session: dict[str, Any] = self._provided("session", "SessionMiddleware")
        mark_accessed = getattr(session, "mark_accessed", None)
        if mark_accessed is not None:
            mark_accessed()
        return session

    @property
    def auth(self) -> Any:
        """The credentials. Raises `MissingMiddleware` without an `AuthenticationMiddleware`."""
        return self._provided("auth", "AuthenticationMiddleware")

    @property
    def user(self) -> Any:
        """The user. Raises `MissingMiddleware` without an `AuthenticationMiddleware`."""
        return self._provided("user", "AuthenticationMiddleware")

    def _provided(self, key: str, middleware: str) -> Any:
        try:
            return self.scope[key]
        except KeyError:
            raise MissingMiddleware(key, middleware) from None

    @property
    def state(self) -> StateT:
        """What the lifespan, middleware and handlers share for this connection."""
        if self._state is None:
            self._state = State(self.scope.setdefault("state", {}))
        state: StateT = self._state
        return state

    def url_for(self, name: str, /, **path_params: Any) -> URL:
        """Return the absolute URL of the route `name`. Raises `NoMatchFound` when there is none."""
        provider: URLPathProvider | None = self.scope.get("router") or self.scope.get("app")
        if provider is None:
            raise RuntimeError(f"url_for({name!r}) works only below an App or a Router")
        path = provider.url_path_for(name, **path_params)
        return path.make_absolute_url(base_url=self.base_url)
