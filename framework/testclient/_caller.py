"""What the two clients have in common: from a request to a scope, from an exchange to a response.

Nothing in here waits for anything. How the app is reached, from another thread or in the same event
loop, is the business of the transports.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from framework.exceptions import StarletteDeprecationWarning
from framework.testclient._exchange import Exchange
from framework.testclient._httpx import httpx2
from framework.testclient._scope import (
    DEFAULT_PORTS,
    WEBSOCKET_SCHEMES,
    build_http_scope,
    build_websocket_scope,
)
from framework.types import ASGIApp, Scope

# Set in the extensions of a request whose response is read at once.
READ_AT_ONCE: Final = "framework.testclient.read_at_once"


class Upgrade(Exception):
    """The request opens a WebSocket: carries its scope past the HTTP client library."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope


class AppCaller:
    """What a client knows about its app."""

    __slots__ = ("app", "app_state", "client", "raises", "root_path")

    def __init__(
        self,
        app: ASGIApp,
        *,
        raise_server_exceptions: bool,
        root_path: str,
        client: tuple[str, int],
        app_state: Mapping[str, Any],
    ) -> None:
        self.app = app
        self.raises = raise_server_exceptions
        self.root_path = root_path
        self.client = client
        self.app_state = app_state

    def build_scope(self, request: httpx2.Request) -> Scope:
        """Return the scope of a request; raise `Upgrade` when it opens a WebSocket."""
        scheme = request.url.scheme
        if scheme not in DEFAULT_PORTS:
            raise httpx2.UnsupportedProtocol(
                f"The scheme {scheme!r} is unknown; use one of {', '.join(DEFAULT_PORTS)}.",
                request=request,
            )
        is_websocket = scheme in WEBSOCKET_SCHEMES
        scope = (build_websocket_scope if is_websocket else build_http_scope)(
            request, root_path=self.root_path, client=self.client, state=self.app_state
        )
        if is_websocket:
            raise Upgrade(scope)
        return scope

    def answer(self, exchange: Exchange, error: BaseException | None) -> httpx2.Response:
        """Return the response of an exchange that has ended, perhaps with an exception."""
        if exchange.status is None:
            return self.answer_nothing(exchange, error)
        body = [] if exchange.request.method == "HEAD" else exchange.body
        return build_response(exchange, ReadBody(body, error if self.raises else None))

    def answer_nothing(self, exchange: Exchange, error: BaseException | None) -> httpx2.Response:
        """Return the response to an app that has ended before it sent any, or raise why."""
        if not self.raises:
            return httpx2.Response(500, stream=httpx2.ByteStream(b""), request=exchange.request)
        raise error or AssertionError(
            "TestClient did not receive any response: the app returned without sending one."
        )

    def conclude(self, error: BaseException | None) -> None:
        """Raise what ended an app that had started its response."""
        if error is not None and self.raises:
            raise error


class ReadBody(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """The body of a response whose app has ended, perhaps with an exception."""

    def __init__(self, chunks: list[bytes], error: BaseException | None) -> None:
        self._chunks = chunks
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error is not None:
            raise self._error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


def build_response(
    exchange: Exchange, body: httpx2.SyncByteStream | httpx2.AsyncByteStream
) -> httpx2.Response:
    """Return the response of an exchange that has started."""
    extensions: dict[str, Any] = {}
    if exchange.expects_trailers:
        extensions["http.response.trailers"] = exchange.trailers
    debug = exchange.debug
    if debug is not None:
        extensions["http.response.debug"] = debug
    response = httpx2.Response(
        exchange.status or 500,
        headers=exchange.headers,
        stream=body,
        request=exchange.request,
        extensions=extensions,
    )
    if debug is not None:
        vars(response).update({key: debug[key] for key in ("template", "context") if key in debug})
    return response


def build_headers(headers: dict[str, str] | None) -> httpx2.Headers:
    """Return the headers of each request of a client."""
    all_headers = httpx2.Headers(headers)
    all_headers.setdefault("user-agent", "testclient")
    return all_headers


def build_upgrade(
    address: httpx2.URL, subprotocols: Sequence[str] | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments of the request that opens a WebSocket."""
    scheme = {"http": "ws", "https": "wss"}.get(address.scheme, address.scheme)
    headers = httpx2.Headers(options.get("headers"))
    headers.setdefault("connection", "upgrade")
    headers.setdefault("sec-websocket-key", "testserver==")
    headers.setdefault("sec-websocket-version", "13")
    if subprotocols is not None:
        headers.setdefault("sec-websocket-protocol", ", ".join(subprotocols))
    return {**options, "url": address.copy_with(scheme=scheme), "headers": headers}


def mark_read_at_once(request: httpx2.Request, *, is_read: bool) -> None:
    """Tell the transport whether the response will be read at once or while the app runs."""
    if is_read:
        request.extensions[READ_AT_ONCE] = True
    else:
        request.extensions.pop(READ_AT_ONCE, None)


def warn_about_timeout() -> None:
    """Warn whoever called the method that calls this."""
    warnings.warn(
        "The test client has no time-outs; leave the argument 'timeout' out and let the "
        "test runner limit the time of the test.",
        StarletteDeprecationWarning,
        stacklevel=3,
    )
