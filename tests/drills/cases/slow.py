"""Clients that are slow on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

from tests.drills.client import HOST, Client, build_request
from tests.drills.instance import Instance
from tests.drills.load import Load, measure_p99
from tests.drills.report import Report
from tests.drills.sample import LARGE_CHUNK, LARGE_CHUNKS

_EACH = 200
_LIMIT_SECONDS = 3
# Deadlines are kept to the second, and a stall is measured over whole limits.
_SLACK_SECONDS = 3.0
_PATIENCE_SECONDS = _LIMIT_SECONDS * 2 + _SLACK_SECONDS
_LOW_SECONDS = 0.5


async def run_slow(report: Report) -> None:
    """Serve normal traffic beside slow headers, slow bodies and slow readers."""
    limits = dict.fromkeys(
        ("FIRST_BYTE_TIMEOUT", "HEADER_TIMEOUT", "BODY_TIMEOUT", "STALL_TIMEOUT"), _LIMIT_SECONDS
    )
    with Instance(report.folder / "service", stock=report.stock, **limits) as service:
        service.wait_until_up()
        async with Load(Client(service.port), 100) as load:
            await asyncio.sleep(2)
            before = measure_p99(load.samples)
            kinds = {
                "headers": [_send_slowly(service.port, b"GET / HTTP/1.1\r\nX:") for _ in _NUMBERS],
                "bodies": [_send_slowly(service.port, _BODY_HEAD) for _ in _NUMBERS],
                "silent": [_send_slowly(service.port, b"", silent=True) for _ in _NUMBERS],
                "readers": [_read_slowly(service.port) for _ in _NUMBERS],
            }
            results = await asyncio.gather(*(asyncio.gather(*each) for each in kinds.values()))
    for kind, lifetimes in zip(kinds, results, strict=True):
        ended = [seconds for seconds in lifetimes if seconds is not None]
        latest = f", the last after {max(ended):.1f} s" if ended else ""
        report.note(f"slow {kind}: {len(ended)} of {_EACH} cut off{latest}")
        report.expect(len(ended) == _EACH, f"every client with slow {kind} is cut off")
    after = measure_p99(load.samples)
    report.note(f"normal traffic: {load.describe()}, p99 before {before * 1000:.0f} ms")
    report.expect(not load.failed, "no normal request fails")
    report.expect(after < max(_LOW_SECONDS, 10 * before), "normal requests stay quick")


_NUMBERS = range(_EACH)
_BODY_HEAD = b"POST /take HTTP/1.1\r\nHost: drill\r\nContent-Length: 1000000\r\n\r\n"


async def _send_slowly(port: int, begin: bytes, *, silent: bool = False) -> float | None:
    """Send a byte a second; return the seconds to the end of the connection, None without one."""
    reader, writer = await asyncio.open_connection(HOST, port)
    begun_at = time.monotonic()
    writer.write(begin)
    end = asyncio.create_task(_wait_for_end(reader))
    try:
        while time.monotonic() - begun_at < _PATIENCE_SECONDS:
            done, _ = await asyncio.wait({end}, timeout=1)
            if done:
                return time.monotonic() - begun_at
            if not silent:
                writer.write(b"x")
        return None
    finally:
        end.cancel()
        writer.close()


async def _read_slowly(port: int) -> float | None:
    """Ask for something large and read a little; then see whether the rest still comes."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (HOST, port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=1024)
    writer.write(build_request("/large"))
    await reader.read(100)
    await asyncio.sleep(_PATIENCE_SECONDS)
    size = 0
    begun_at = time.monotonic()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_SLACK_SECONDS):
            # What the kernels hold; the whole would be much more.
            while data := await reader.read(65536):
                size += len(data)
                if size > len(LARGE_CHUNK) * LARGE_CHUNKS / 5:
                    break
    writer.close()
    is_cut_off = size <= len(LARGE_CHUNK) * LARGE_CHUNKS / 5
    return _PATIENCE_SECONDS + time.monotonic() - begun_at if is_cut_off else None


async def _wait_for_end(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        await reader.read()
