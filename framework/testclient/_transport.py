"""The transport of the synchronous client: the app runs in an event loop of another thread."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Iterator
from concurrent.futures import Future

from anyio.from_thread import BlockingPortal

from framework.testclient._caller import READ_AT_ONCE, AppCaller, build_response
from framework.testclient._exchange import Exchange, LiveExchange
from framework.testclient._httpx import httpx2
from framework.testclient._portal import PortalKeeper
from framework.types import Scope


class AppTransport(httpx2.BaseTransport):
    """Answers each request by calling the app in the loop of its keeper."""

    def __init__(self, caller: AppCaller, keeper: PortalKeeper) -> None:
        self._caller = caller
        self._keeper = keeper
        self._open: set[LiveBody] = set()
        weakref.finalize(self, keeper.abandon)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response as soon as it has started."""
        scope = self._caller.build_scope(request)
        # PERF: one call into the loop for the whole response instead of one for each part of it;
        # correct because the reader of such a response takes all parts before it does anything.
        if READ_AT_ONCE in request.extensions:
            return self._exchange_at_once(Exchange(self._caller.app, scope, request))
        return self._exchange_live(scope, request)

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
        return self._caller.answer(exchange, error)

    def _exchange_live(self, scope: Scope, request: httpx2.Request) -> httpx2.Response:
        started: Future[None] = Future()
        on_start = functools.partial(started.set_result, None)
        exchange = LiveExchange(self._caller.app, scope, request, on_start)
        portal = self._keeper.open()
        task = None
        try:
            task = portal.start_task_soon(exchange.run)
            started.result()
            if exchange.status is None:
                error = task.exception()
                self.bury(error)
                return self._caller.answer_nothing(exchange, error)
        except BaseException:
            if task is None or not task.done():
                portal.call(exchange.abort)
            raise
        body = LiveBody(self, portal, exchange, task)
        self._open.add(body)
        return build_response(exchange, body)

    def settle(self, body: LiveBody, error: BaseException | None) -> None:
        """Forget a response that is over; raise the exception that ended it."""
        self._open.discard(body)
        self.bury(error)
        self._caller.conclude(error)

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
