"""The client of async tests: the app runs in the event loop of the test."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import anyio

from framework.testclient._asgi import find_asgi3
from framework.testclient._async_session import AsyncWebSocketTestSession
from framework.testclient._async_transport import AsyncAppTransport
from framework.testclient._caller import (
    AppCaller,
    Upgrade,
    build_headers,
    build_upgrade,
    mark_read_at_once,
    warn_about_timeout,
)
from framework.testclient._httpx import UseClientDefault, httpx2, types
from framework.testclient._lifespan import LifespanSession
from framework.testclient._loop_task import LoopTask
from framework.types import ASGIApp, Scope

__all__ = ["AsyncTestClient"]


class AsyncTestClient(httpx2.AsyncClient):
    """Send requests to an ASGI app from an async test, on asyncio or trio.

    Each request runs in a task of its own in the loop of the test, so the app and the test can share
    what belongs to a loop: a connection pool, a lock, an event. In an `async with` block the app's
    lifespan runs as well. The methods are those of `TestClient`, to be awaited; `async with` may be
    entered in one task and left in another.

    Args:
        app: an ASGI 3 callable, or an ASGI 2 callable, which takes only the scope.
        base_url: the address that relative URLs, also of WebSockets, are relative to.
        raise_server_exceptions: raise what the app raises; else answer 500, or cut the body off.
        root_path: the `root_path` of each scope.
        cookies: cookies to begin with.
        headers: headers of each request; `user-agent` is `testclient` when not given.
        follow_redirects: follow redirects unless a request says otherwise.
        client: host and port of the client in each scope.

    Attributes:
        app: the app, as an ASGI 3 callable.
        app_state: what the lifespan left in its state; each request gets a copy.
    """

    __test__ = False
    _lifespan: LifespanSession
    _lifespan_task: LoopTask

    def __init__(
        self,
        app: ASGIApp,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        *,
        cookies: types.CookieTypes | None = None,
        headers: dict[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        self.app = find_asgi3(app)
        self.app_state: dict[str, Any] = {}
        caller = AppCaller(
            self.app,
            raise_server_exceptions=raise_server_exceptions,
            root_path=root_path,
            client=client,
            app_state=self.app_state,
        )
        self._app_transport = AsyncAppTransport(caller)
        super().__init__(
            base_url=base_url,
            headers=build_headers(headers),
            transport=self._app_transport,
            follow_redirects=follow_redirects,
            cookies=cookies,
        )

    async def request(
        self,
        method: str,
        url: types.URLTypes,
        *,
        timeout: types.TimeoutTypes | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
        **options: Any,
    ) -> httpx2.Response:
        """Send a request and return its response when the app has ended.

        Arguments as of `httpx2.AsyncClient.request()`; `timeout` has no effect and is deprecated.
        """
        if timeout is not httpx2.USE_CLIENT_DEFAULT:
            warn_about_timeout()
        return await super().request(method, url, timeout=timeout, **options)

    async def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: types.AuthTypes | UseClientDefault | None = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
    ) -> httpx2.Response:
        """Send a request; with `stream` the body is read while the app runs."""
        mark_read_at_once(request, is_read=not stream)
        return await super().send(
            request, stream=stream, auth=auth, follow_redirects=follow_redirects
        )

    def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> AsyncWebSocketTestSession:
        """Return a WebSocket session, to be entered with `async with`.

        Args:
            url: absolute (`ws:`, `wss:`), or relative to the base URL of the client.
            subprotocols: the subprotocols to offer.
            kwargs: further arguments of `httpx2.AsyncClient.request()`: `headers`, `params`, ...
        """
        upgrade = build_upgrade(self._merge_url(url), subprotocols, kwargs)
        return AsyncWebSocketTestSession(
            self.app, functools.partial(self._open_websocket, url, upgrade)
        )

    async def _open_websocket(self, url: str, upgrade: dict[str, Any]) -> Scope:
        try:
            await super().request("GET", **upgrade)
        except Upgrade as found:
            return found.scope
        raise RuntimeError(f"An event hook made an HTTP request of the WebSocket to {url!r}.")

    async def __aenter__(self) -> Self:
        self._lifespan = LifespanSession(self.app, self.app_state)
        self._lifespan_task = LoopTask(self._lifespan.run)
        try:
            await self._lifespan.start_up()
        except BaseException:
            await self._end_lifespan()
            raise
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        # Also when the test is being cancelled: the app shuts down as it does anywhere else.
        with anyio.CancelScope(shield=True):
            try:
                await self._app_transport.aclose()
            finally:
                try:
                    await self._lifespan.shut_down()
                finally:
                    await self._end_lifespan()

    async def _end_lifespan(self) -> None:
        with anyio.CancelScope(shield=True):
            self._lifespan.abort()
            await self._lifespan_task.join()
