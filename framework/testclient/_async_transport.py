"""The transport of the asynchronous client: the app runs in the event loop of the test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio

from framework.testclient._caller import READ_AT_ONCE, AppCaller, build_response
from framework.testclient._exchange import Exchange, LiveExchange
from framework.testclient._httpx import httpx2
from framework.testclient._loop_task import LoopTask
from framework.types import Scope


class AsyncAppTransport(httpx2.AsyncBaseTransport):
    """Answers each request by calling the app in a task of the running loop."""

    def __init__(self, caller: AppCaller) -> None:
        self._caller = caller
        self._open: set[AsyncLiveBody] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the response as soon as it has started."""
        scope = self._caller.build_scope(request)
        if READ_AT_ONCE in request.extensions:
            return await self._exchange_at_once(Exchange(self._caller.app, scope, request))
        return await self._exchange_live(scope, request)

    async def _exchange_at_once(self, exchange: Exchange) -> httpx2.Response:
        task = LoopTask(exchange.run)
        try:
            error = await task.join()
        except BaseException:  # the test is being cancelled
            await abort(exchange, task)
            raise
        return self._caller.answer(exchange, error)

    async def _exchange_live(self, scope: Scope, request: httpx2.Request) -> httpx2.Response:
        started = anyio.Event()
        exchange = LiveExchange(self._caller.app, scope, request, started.set)
        task = LoopTask(exchange.run)
        try:
            await started.wait()
            if exchange.status is None:
                return self._caller.answer_nothing(exchange, await task.join())
        except BaseException:
            await abort(exchange, task)
            raise
        body = AsyncLiveBody(self, exchange, task)
        self._open.add(body)
        return build_response(exchange, body)

    def settle(self, body: AsyncLiveBody, error: BaseException | None) -> None:
        """Forget a response that is over; raise the exception that ended it."""
        self._open.discard(body)
        self._caller.conclude(error)

    async def aclose(self) -> None:
        """Cancel the apps whose responses are still being read."""
        while self._open:
            await self._open.pop().abort()


class AsyncLiveBody(httpx2.AsyncByteStream):
    """The body of a response whose app is still running."""

    def __init__(
        self, transport: AsyncAppTransport, exchange: LiveExchange, task: LoopTask
    ) -> None:
        self._transport = transport
        self._exchange = exchange
        self._task = task
        self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        is_head = self._exchange.request.method == "HEAD"
        while True:
            if self._is_closed:
                raise httpx2.StreamClosed
            chunk = await self._exchange.next_chunk()
            if chunk is None:
                break
            if chunk and not is_head:
                yield chunk
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel an app that has not completed its response, wait for any other."""
        if self._is_closed:
            return
        self._is_closed = True
        with anyio.CancelScope(shield=True):
            if not self._task.has_ended:
                await self._exchange.end()
            error = await self._task.join()
        self._transport.settle(self, error)

    async def abort(self) -> None:
        """Cancel the app, whatever it does."""
        await abort(self._exchange, self._task)
        await self.aclose()


async def abort(exchange: Exchange, task: LoopTask) -> None:
    """Cancel an app and wait until it has gone, also while the test itself is being cancelled."""
    with anyio.CancelScope(shield=True):
        if not task.has_ended:
            await exchange.abort()
        await task.join()
