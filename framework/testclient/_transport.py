"""The transport of the HTTP client library that calls an ASGI app."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any, Final

import httpx2
from anyio.from_thread import BlockingPortal

from framework.testclient._exchange import Exchange, LiveExchange
from framework.testclient._portal import PortalKeeper
from framework.testclient._scope import (
    DEFAULT_PORTS,
    WEBSOCKET_SCHEMES,
    build_http_scope,
    build_websocket_scope,
)
from framework.testclient._websocket import WebSocketTestSession
from framework.types import ASGIApp

# Set in the extensions of a request whose response is read at once.
READ_AT_ONCE: Final = "framework.testclient.read_at_once"


class Upgrade(Exception):
    """The request opens a WebSocket: carries the session past the HTTP client library."""

    def __init__(self, session: WebSocketTestSession) -> None:
        self.session = session


class AppTransport(httpx2.BaseTransport):
    """Answers each request by calling the app in the loop of its keeper."""

    def __init__(
        self,
        app: ASGIApp,
        keeper: PortalKeeper,
        *,
        raise_server_exceptions: bool,
        root_path: str,
        client: tuple[str, int],
        app_state: Mapping[str, Any],
    ) -> None:
        self._app = app
        self._keeper = keeper
        self._raises = raise_server_exceptions
        self._root_path = root_path
        self._client = client
        self._app_state = app_state
        self._open: set[LiveBody] = set()
        weakref.finalize(self, keeper.abandon)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response as soon as it has started."""
        scheme = request.url.scheme
        if scheme not in DEFAULT_PORTS:
            raise httpx2.UnsupportedProtocol(
                f"The scheme {scheme!r} is unknown; use one of {', '.join(DEFAULT_PORTS)}.",
                request=request,
            )
        is_websocket = scheme in WEBSOCKET_SCHEMES
        scope = (build_websocket_scope if is_websocket else build_http_scope)(
            request, root_path=self._root_path, client=self._client, state=self._app_state
        )
        if is_websocket:
            raise Upgrade(WebSocketTestSession(self._app, scope, self._keeper.lease))
        # PERF: one call into the loop for the whole response instead of one for each part of it;
        # correct because the reader of such a response takes all parts before it does anything.
        if READ_AT_ONCE in request.extensions:
            return self._exchange_at_once(Exchange(self._app, scope, request))
        return self._exchange_live(LiveExchange(self._app, scope, request))

    def _exchange_at_once(self, exchange: Exchange) -> httpx2.Response:
        portal = self._keeper.open()
        task = None
        try:
            task = portal.start_task_soon(exchange.run)
            error = task.exception()
        except BaseException:  # Ctrl-C, which may also come before there is a task
            if task is None or not task.done():
                portal.call(exchange.abort)
            raise
        self.bury(error)
        if exchange.status is None:
            return self._answer_nothing(exchange, error)
        body = [] if exchange.request.method == "HEAD" else exchange.body
        return build_response(exchange, ReadBody(body, error if self._raises else None))

    def _exchange_live(self, exchange: LiveExchange) -> httpx2.Response:
        portal = self._keeper.open()
        task = None
        try:
            task = portal.start_task_soon(exchange.run)
            exchange.started.result()
            if exchange.status is None:
                error = task.exception()
                self.bury(error)
                return self._answer_nothing(exchange, error)
        except BaseException:
            if task is None or not task.done():
                portal.call(exchange.abort)
            raise
        body = LiveBody(self, portal, exchange, task)
        self._open.add(body)
        return build_response(exchange, body)

    def _answer_nothing(self, exchange: Exchange, error: BaseException | None) -> httpx2.Response:
        if not self._raises:
            return httpx2.Response(500, stream=httpx2.ByteStream(b""), request=exchange.request)
        raise error or AssertionError("The app returned without sending a response.")

    def settle(self, body: LiveBody, error: BaseException | None) -> None:
        """Forget a response that is over; raise the exception that ended it."""
        self._open.discard(body)
        self.bury(error)
        if error is not None and self._raises:
            raise error

    def bury(self, error: BaseException | None) -> None:
        """After a `SystemExit` or the like, which ends the loop too, let the next one start."""
        if error is not None and not isinstance(error, Exception):
            self._keeper.drop_dead()

    def abort_open(self) -> None:
        """Cancel the apps whose responses are still being read."""
        while self._open:
            self._open.pop().abort()

    def close(self) -> None:
        """Cancel what is still running and end the loop, unless a lifespan runs in it."""
        try:
            self.abort_open()
        finally:
            if not self._keeper.is_pinned:
                self._keeper.close(cancel=True)


class ReadBody(httpx2.SyncByteStream):
    """The body of a response whose app has ended, perhaps with an exception."""

    def __init__(self, chunks: list[bytes], error: BaseException | None) -> None:
        self._chunks = chunks
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._error is not None:
            raise self._error


class LiveBody(httpx2.SyncByteStream):
    """The body of a response whose app is still running; holds the transport, and so the loop."""

    def __init__(
        self,
        transport: AppTransport,
        portal: BlockingPortal,
        exchange: LiveExchange,
        task: Future[None],
    ) -> None:
        self._transport = transport
        self._portal = portal
        self._exchange = exchange
        self._task = task
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        is_head = self._exchange.request.method == "HEAD"
        while True:
            if self._is_closed:
                raise httpx2.StreamClosed
            chunk = self._portal.call(self._exchange.next_chunk)
            if chunk is None:
                break
            if chunk and not is_head:
                yield chunk
        self.close()

    def close(self) -> None:
        """Cancel an app that has not completed its response, wait for any other."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._task.done():
            self._portal.call(self._exchange.end)
        self._transport.settle(self, self._task.exception())

    def abort(self) -> None:
        """Cancel the app, whatever it does."""
        if not self._task.done():
            self._portal.call(self._exchange.abort)
        self.close()


def build_response(exchange: Exchange, body: httpx2.SyncByteStream) -> httpx2.Response:
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
