"""The client of tests: the HTTP client library, calling an ASGI app instead of a server."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Literal, Self, TypedDict

from anyio.from_thread import BlockingPortal

from framework.testclient._asgi import find_asgi3
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
from framework.testclient._portal import PortalKeeper
from framework.testclient._session import WebSocketTestSession
from framework.testclient._transport import AppTransport
from framework.types import ASGIApp

__all__ = ["TestClient"]


class AsyncBackend(TypedDict):
    """The event loop under the app."""

    backend: str
    backend_options: dict[str, Any]


class TestClient(httpx2.Client):
    """Send requests to an ASGI app from synchronous code.

    The app runs in an event loop of its own, in another thread. The loop starts with the first
    request and serves all requests and WebSockets of the client until `close()`, the end of a
    `with` block, or the end of the client. In a `with` block the app's lifespan runs as well.

    Args:
        app: an ASGI 3 callable, or an ASGI 2 callable, which takes only the scope.
        base_url: the address that relative URLs, also of WebSockets, are relative to.
        raise_server_exceptions: raise what the app raises; else answer 500, or cut the body off.
        root_path: the `root_path` of each scope.
        backend: `"asyncio"` or `"trio"`.
        backend_options: options of the backend, as `anyio.run()` takes them.
        cookies: cookies to begin with.
        headers: headers of each request; `user-agent` is `testclient` when not given.
        follow_redirects: follow redirects unless a request says otherwise.
        client: host and port of the client in each scope.

    Attributes:
        app: the app, as an ASGI 3 callable.
        app_state: what the lifespan left in its state; each request gets a copy.
        portal: the way into the app's loop, None outside `with`.
    """

    __test__ = False
    task: Future[None]
    portal: BlockingPortal | None = None
    _lifespan: LifespanSession
    exit_stack: ExitStack

    def __init__(
        self,
        app: ASGIApp,
        base_url: str = "http://testserver",
        raise_server_exceptions: bool = True,
        root_path: str = "",
        backend: Literal["asyncio", "trio"] = "asyncio",
        backend_options: dict[str, Any] | None = None,
        cookies: types.CookieTypes | None = None,
        headers: dict[str, str] | None = None,
        follow_redirects: bool = True,
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        self.async_backend = AsyncBackend(backend=backend, backend_options=backend_options or {})
        self.app = find_asgi3(app)
        self.app_state: dict[str, Any] = {}
        self._keeper = PortalKeeper(**self.async_backend)
        caller = AppCaller(
            self.app,
            raise_server_exceptions=raise_server_exceptions,
            root_path=root_path,
            client=client,
            app_state=self.app_state,
        )
        self._app_transport = AppTransport(caller, self._keeper)
        super().__init__(
            base_url=base_url,
            headers=build_headers(headers),
            transport=self._app_transport,
            follow_redirects=follow_redirects,
            cookies=cookies,
        )

    def request(
        self,
        method: str,
        url: types.URLTypes,
        *,
        content: types.RequestContent | None = None,
        data: types.RequestData | None = None,
        files: types.RequestFiles | None = None,
        json: Any = None,
        params: types.QueryParamTypes | None = None,
        headers: types.HeaderTypes | None = None,
        cookies: types.CookieTypes | None = None,
        auth: types.AuthTypes | UseClientDefault | None = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
        timeout: types.TimeoutTypes | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
        extensions: types.RequestExtensions | None = None,
    ) -> httpx2.Response:
        """Send a request and return its response when the app has ended.

        Arguments as of `httpx2.Client.request()`; `timeout` has no effect and is deprecated.
        """
        if timeout is not httpx2.USE_CLIENT_DEFAULT:
            warn_about_timeout()
        return super().request(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def send(
        self,
        request: httpx2.Request,
        *,
        stream: bool = False,
        auth: types.AuthTypes | UseClientDefault | None = httpx2.USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = httpx2.USE_CLIENT_DEFAULT,
    ) -> httpx2.Response:
        """Send a request; with `stream` the body is read while the app runs."""
        mark_read_at_once(request, is_read=not stream)
        return super().send(request, stream=stream, auth=auth, follow_redirects=follow_redirects)

    def websocket_connect(
        self, url: str, subprotocols: Sequence[str] | None = None, **kwargs: Any
    ) -> WebSocketTestSession:
        """Return a WebSocket session, to be entered with `with`.

        Args:
            url: absolute (`ws:`, `wss:`), or relative to the base URL of the client.
            subprotocols: the subprotocols to offer.
            kwargs: further arguments of `httpx2.Client.request()`: `headers`, `params`, ...
        """
        upgrade = build_upgrade(self._merge_url(url), subprotocols, kwargs)
        try:
            super().request("GET", **upgrade)
        except Upgrade as found:
            return WebSocketTestSession(self.app, found.scope, self._keeper.lease)
        raise RuntimeError(f"An event hook made an HTTP request of the WebSocket to {url!r}.")

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.push(self._leave_loop)
            self.portal = self._keeper.open()
            self._keeper.is_pinned = True
            self._lifespan = self.portal.call(LifespanSession, self.app, self.app_state)
            self.task = self.portal.start_task_soon(self.lifespan)
            self.portal.call(self.wait_startup)
            stack.callback(self._shut_down)
            stack.callback(self._app_transport.abort_open)
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.exit_stack.close()

    async def lifespan(self) -> None:
        """Run the app's lifespan, in the app's loop."""
        await self._lifespan.run()

    async def wait_startup(self) -> None:
        """Ask the app to start up and wait for its answer, in the app's loop."""
        await self._lifespan.start_up()

    async def wait_shutdown(self) -> None:
        """Ask the app to shut down and wait for its end, in the app's loop."""
        await self._lifespan.shut_down()

    def _shut_down(self) -> None:
        if self.portal is not None and self._keeper.is_running:
            self.portal.call(self.wait_shutdown)

    def _leave_loop(self, exc_type: type[BaseException] | None, *_: object) -> None:
        self.portal = None
        self._keeper.is_pinned = False
        self._keeper.close(cancel=exc_type is not None)
