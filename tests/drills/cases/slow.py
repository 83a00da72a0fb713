"""Clients that are slow on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path
from typing import Any, Final

from tests.drills.client import HOST, Client, build_request
from tests.drills.instance import Instance
from tests.drills.load import Load, measure_p99
from tests.drills.report import Report

_EACH: Final = 200
_READERS: Final = 50
"""The kernel holds megabytes for each of them."""
_LIMIT_SECONDS: Final = 3
# Deadlines are kept to the second, and a stall is measured over whole limits.
_PATIENCE_SECONDS: Final = _LIMIT_SECONDS * 2 + 3.0
_LOW_SECONDS: Final = 0.25
# What 200 downloads cost that begin in the same moment is not the question.
_SECONDS_BETWEEN_CLIENTS: Final = 0.01

_BEGINNINGS: Final = {
    "headers": b"GET / HTTP/1.1\r\nX:",
    "bodies": b"POST /take HTTP/1.1\r\nHost: drill\r\nContent-Length: 1000000\r\n\r\n",
    "silence": b"",
}


async def run_slow(report: Report) -> None:
    """Serve normal traffic beside slow headers, slow bodies and slow readers."""
    limits: dict[str, Any] = dict.fromkeys(
        ("FIRST_BYTE_TIMEOUT", "HEADER_TIMEOUT", "BODY_TIMEOUT", "STALL_TIMEOUT"), _LIMIT_SECONDS
    )
    with Instance(report.folder / "service", stock=report.stock, **limits) as service:
        service.wait_until_up()
        async with Load(Client(service.port), 100) as load:
            await asyncio.sleep(2)
            before = measure_p99(load.samples)
            lifetimes = await asyncio.to_thread(_be_slow, service.port, service.folder)
    for kind, ended in lifetimes.items():
        count = _READERS if kind == "readers" else _EACH
        latest = f", the last after {max(ended):.1f} s" if ended else ""
        report.note(f"slow {kind}: {len(ended)} of {count} cut off{latest}")
        report.expect(len(ended) == count, f"every client with slow {kind} is cut off")
    after = measure_p99(load.samples)
    report.note(f"normal traffic: {load.describe()}, p99 before {before * 1000:.0f} ms")
    report.expect(not load.failed, "no normal request fails")
    report.expect(after < max(_LOW_SECONDS, 10 * before), "normal requests stay quick")


def _be_slow(port: int, folder: Path) -> dict[str, list[float]]:
    """Be slow in four ways; return for each the seconds that its connections have lasted."""
    senders: dict[socket.socket, tuple[str, float]] = {}
    readers: dict[socket.socket, float] = {}
    for number in range(_EACH):
        for kind, beginning in _BEGINNINGS.items():
            senders[_open(port, beginning)] = kind, time.time()
        if number < _READERS:
            # It is the server that knows when it has given one of them up: the reader does not look.
            request = build_request(f"/large?bytes=50000000&name={number}")
            readers[_open(port, request, receive_buffer=4096)] = time.time()
        time.sleep(_SECONDS_BETWEEN_CLIENTS)
    ended: dict[str, list[float]] = {kind: [] for kind in (*_BEGINNINGS, "readers")}
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and (senders or len(list(folder.glob("left-*"))) < _READERS):
        for sock, (kind, opened_at) in list(senders.items()):
            if not _goes_on(sock, kind):
                del senders[sock]
                sock.close()
                ended[kind].append(time.time() - opened_at)
        time.sleep(1)
    for number, opened_at in enumerate(readers.values()):
        marker = folder / f"left-{number}"
        if marker.exists():
            ended["readers"].append(marker.stat().st_mtime - opened_at)
    for sock in (*senders, *readers):
        sock.close()
    return ended


def _open(port: int, beginning: bytes, receive_buffer: int = 0) -> socket.socket:
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect((HOST, port))
    sock.setblocking(False)
    if beginning:
        sock.send(beginning)
    return sock


def _goes_on(sock: socket.socket, kind: str) -> bool:
    """Send a byte more, unless it is one that says nothing; return whether the connection is open."""
    with contextlib.suppress(BlockingIOError):
        try:
            while sock.recv(65536):
                pass
        except ConnectionError:
            pass
        return False
    if kind != "silence":
        with contextlib.suppress(ConnectionError):
            sock.send(b"x")
    return True
