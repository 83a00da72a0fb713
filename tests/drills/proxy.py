"""A reverse proxy as small as can be, with nginx's manners."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self

from tests.drills.client import HOST, REFUSED, Client, ExchangeFailed, is_ready

_SECONDS_BETWEEN_CHECKS: Final = 0.2


class Proxy:
    """Deals requests out to instances in turn.

    One whose `/readyz` is not 200 gets no new request. A request is tried at another instance when no
    connection could be made, and only then. What else goes wrong is a 502.

    Args:
        ports: of the instances.
    """

    def __init__(self, ports: list[int]) -> None:
        self.port = 0
        self.sent_past = 0
        """Requests that were tried a second time."""
        self._upstreams = [Client(port) for port in ports]
        self._healthy = list(self._upstreams)
        self._server: asyncio.Server | None = None
        self._checks: asyncio.Task[None] | None = None
        self._turn = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, HOST, 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        self._checks = asyncio.create_task(self._check())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._checks is not None
        self._checks.cancel()
        await asyncio.gather(self._checks, return_exceptions=True)
        self._server.close()
        for upstream in self._upstreams:
            upstream.close()

    async def _check(self) -> None:
        while True:
            answers = await asyncio.gather(*(is_ready(each.port) for each in self._upstreams))
            self._healthy = [each for each, ok in zip(self._upstreams, answers, strict=True) if ok]
            await asyncio.sleep(_SECONDS_BETWEEN_CHECKS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._forward(head.split(b" ", 2)[1].decode()))
        writer.close()

    async def _forward(self, path: str) -> bytes:
        self._turn += 1
        candidates = self._healthy or self._upstreams
        for attempt in range(len(candidates)):
            upstream = candidates[(self._turn + attempt) % len(candidates)]
            try:
                answer = await upstream.fetch(path)
            except ExchangeFailed as exc:
                if exc.kind == REFUSED:
                    self.sent_past += 1
                    continue
                break
            worker = answer.fields.get("x-worker", "")
            return _build_answer(answer.status, answer.body, worker)
        return _build_answer(502, b"", "")


def _build_answer(status: int, body: bytes, worker: str) -> bytes:
    head = f"HTTP/1.1 {status} .\r\nX-Worker: {worker}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
