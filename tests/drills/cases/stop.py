"""SIGTERM: with everything in flight that can be, and of one of two instances behind a proxy."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.drills.client import HOST, Client, ExchangeFailed, build_request
from tests.drills.instance import Instance
from tests.drills.load import Load
from tests.drills.proxy import Proxy
from tests.drills.report import Report

_EACH = 4
_GRACE_SECONDS = 8
_POST_SECONDS = 3.0
_POST_PARTS = 15
_PART = bytes(1000)


async def run_stop(report: Report) -> None:
    """Stop a service in the middle of slow uploads, streams, WebSockets and background tasks."""
    with Instance(
        report.folder / "service", stock=report.stock, GRACEFUL_TIMEOUT=_GRACE_SECONDS
    ) as service:
        service.wait_until_up()
        posts = [asyncio.create_task(_post_slowly(service.port)) for _ in range(_EACH)]
        streams = [asyncio.create_task(_read_events(service.port)) for _ in range(_EACH)]
        sockets = [asyncio.create_task(_keep_socket(service.port)) for _ in range(_EACH)]
        await asyncio.sleep(0.7)
        client = Client(service.port)
        await client.fetch("/task?seconds=2.5", method="POST", fresh=True)
        workers = service.alive
        begun_at = time.monotonic()
        service.signal(signal.SIGTERM)
        status = await asyncio.to_thread(service.wait)
        seconds = time.monotonic() - begun_at
        answered = sum(await asyncio.gather(*posts))
        ended = sum(await asyncio.gather(*streams))
        codes = await asyncio.gather(*sockets)
        done = (service.folder / "task-done").exists()
        shut_down = sum(map(service.has_shut_down, workers))
        output = service.output
    report.note(f"slow POSTs answered {answered} of {_EACH}")
    report.note(f"streams ended {ended} of {_EACH}")
    report.note(f"WebSockets closed with {sorted(set(codes))}")
    report.note(f"task {'done' if done else 'lost'}")
    report.note(f"shutdown in {shut_down} of {len(workers)} workers")
    report.note(f"status {status} after {seconds:.1f} s")
    report.expect(answered == _EACH, "every slow POST is answered with 200")
    report.expect(ended == _EACH, "every event stream ends with its last chunk")
    report.expect(codes == [1012] * _EACH, "every WebSocket is closed with 1012")
    report.expect(done, "the background task ends")
    report.expect(shut_down == len(workers) == 2, "the lifespan shuts down in every worker")
    report.expect(status == 0, "the exit status is 0")
    report.expect(seconds < _GRACE_SECONDS, "it takes less than the grace")
    report.expect("WORKER TIMEOUT" not in output, "no worker is killed")


async def _post_slowly(port: int) -> bool:
    reader, writer = await asyncio.open_connection(HOST, port)
    head = build_request("/take", "POST", bytes(len(_PART) * _POST_PARTS))
    writer.write(head[: head.index(b"\r\n\r\n") + 4])
    with contextlib.suppress(OSError):
        for _ in range(_POST_PARTS):
            writer.write(_PART)
            await asyncio.sleep(_POST_SECONDS / _POST_PARTS)
        answer = await reader.read()
        writer.close()
        return answer.startswith(b"HTTP/1.1 200")
    return False


async def _read_events(port: int) -> bool:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(build_request("/events"))
    stream = b""
    with contextlib.suppress(OSError):
        stream = await reader.read()
    writer.close()
    return b"data: tick" in stream and stream.endswith(b"0\r\n\r\n")


async def _keep_socket(port: int) -> int:
    """Talk until the other side closes, and return its code; 1006 when it did not close in order."""
    async with connect(f"ws://{HOST}:{port}/echo", proxy=None) as socket:
        try:
            while True:
                await socket.send("hello")
                await socket.recv()
                await asyncio.sleep(0.1)
        except ConnectionClosed as exc:
            return exc.rcvd.code if exc.rcvd is not None else 1006


async def run_proxy(report: Report) -> None:
    """Stop one of two instances behind a proxy, and start it again, under load."""
    first, second = (
        Instance(report.folder / name, stock=report.stock, WEB_CONCURRENCY=1)
        for name in ("first", "second")
    )
    with first, second:
        first.wait_until_up()
        second.wait_until_up()
        async with Proxy([first.port, second.port]) as proxy:
            await _wait_for_both(proxy, first, second)
            client = Client(proxy.port)
            async with Load(client, 200) as load:
                await asyncio.sleep(2)
                first.signal(signal.SIGTERM)
                status = await asyncio.to_thread(first.wait)
                await asyncio.sleep(2)
            sent_past = proxy.sent_past
    report.note(f"{load.describe()}; {sent_past} sent to the other instance")
    workers = {sample.worker for sample in load.samples}
    report.expect(not load.failed, "no request fails")
    report.expect(len(workers - {""}) == 2, "both instances have served")
    report.expect(status == 0, "the instance ends with status 0")


async def _wait_for_both(proxy: Proxy, *instances: Instance) -> None:
    client = Client(proxy.port)
    for _ in range(100):
        with contextlib.suppress(ExchangeFailed):
            answers = [await client.fetch("/readyz") for _ in instances]
            if {answer.status for answer in answers} == {200}:
                break
        await asyncio.sleep(0.05)
    client.close()
