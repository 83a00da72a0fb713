"""A reader of the log that stops, comes back, or never does; each case on a real pipe."""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from framework.observability import _sink
from framework.observability._limits import MAX_WAITING_LOG_BYTES
from framework.observability._sink import LineSink

PIPE_BYTES = 65536
LINE = b'{"text":"' + b"x" * 988 + b'"}\n'


class Pipe:
    """Both ends of a pipe; what is read comes back as lines."""

    def __init__(self) -> None:
        self.reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "w")

    def read_lines(self, seconds: float = 0.5) -> list[bytes]:
        """Return all lines until nothing has come for a time."""
        data = b""
        while select.select([self.reader], [], [], seconds)[0]:
            data += os.read(self.reader, 1 << 20)
        assert data.endswith(b"\n") or not data
        return data.splitlines(keepends=True)

    def close(self) -> None:
        os.close(self.reader)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def sink(pipe: Pipe) -> Iterator[LineSink]:
    sink = LineSink()
    sink.describe_drops = lambda count: b"dropped %d\n" % count
    sink.open(pipe.stream)
    yield sink
    sink.open(io.StringIO())  # lets go of what it has opened itself


def number(count: int) -> list[bytes]:
    return [b"%08d" % index + LINE for index in range(count)]


def write(sink: LineSink, lines: list[bytes]) -> float:
    """Write the lines and return the longest that one took."""
    longest = 0.0
    for line in lines:
        begin = time.monotonic()
        sink.write(line)
        longest = max(longest, time.monotonic() - begin)
    return longest


def test_lines_wait_for_a_reader_that_has_stopped_and_come_in_order(
    sink: LineSink, pipe: Pipe
) -> None:
    lines = number(500)
    assert write(sink, lines) < 1
    assert pipe.read_lines() == lines
    assert sink.dropped == 0

    sink.write(LINE)
    assert pipe.read_lines(0.1) == [LINE]


def test_what_does_not_fit_is_dropped_and_the_count_is_said_when_it_flows_again(
    sink: LineSink, pipe: Pipe
) -> None:
    lines = number(3 * MAX_WAITING_LOG_BYTES // len(LINE))
    begin = time.monotonic()
    write(sink, lines)
    assert time.monotonic() - begin < 5
    assert sink.dropped > len(lines) // 2

    kept = lines[: len(lines) - sink.dropped]
    assert sum(map(len, kept)) <= MAX_WAITING_LOG_BYTES + PIPE_BYTES
    assert pipe.read_lines() == [*kept, b"dropped %d\n" % sink.dropped]
    sink.write(LINE)
    assert pipe.read_lines(0.1) == [LINE]


def test_a_reader_that_is_a_little_behind_loses_nothing_and_nothing_waits(
    sink: LineSink, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However little processor the reader is given: it is behind, and has not stopped.
    monkeypatch.setattr(_sink, "SLOW_READER_SECONDS", 10)
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.extend(pipe.read_lines(2)))
    thread.start()
    lines = number(3000)
    write(sink, lines)
    assert not sink._waiting
    thread.join()
    assert found == lines


def test_a_long_line_is_completed(sink: LineSink, pipe: Pipe) -> None:
    long = b"y" * (MAX_WAITING_LOG_BYTES + 2 * PIPE_BYTES) + b"\n"
    sink.write(long)
    sink.write(LINE)
    assert pipe.read_lines() == [long, b"dropped 1\n"]


def test_a_reader_that_goes_while_lines_wait_ends_the_wait(sink: LineSink, pipe: Pipe) -> None:
    write(sink, number(200))
    os.close(pipe.reader)
    deadline = time.monotonic() + 5
    while sink._waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    pipe.reader = os.open(os.devnull, os.O_RDONLY)
    assert not sink._waiting
    assert sink.dropped > 0


def test_a_full_disk_is_counted_and_said_later(
    sink: LineSink, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(_sink, "_write", fail)
        write(sink, [LINE, LINE])
    sink.write(LINE)
    assert pipe.read_lines(0.1) == [LINE, b"dropped 2\n"]


def test_others_who_write_to_the_same_pipe_still_wait(sink: LineSink, pipe: Pipe) -> None:
    sink.write(LINE)
    assert os.get_blocking(pipe.stream.fileno())


def test_where_the_pipe_cannot_be_opened_again_a_stopped_reader_is_not_waited_for_either(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, flags: int) -> int:
        raise PermissionError(path)

    sink = LineSink()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        sink.open(pipe.stream)
    lines = number(300)
    assert write(sink, lines) < 1
    assert pipe.read_lines() == lines


def test_a_socket_is_not_waited_for(sink: LineSink) -> None:
    reader, writer = socket.socketpair()
    with reader, writer, writer.makefile("w") as stream:
        sink.open(stream)
        lines = number(1000)
        assert write(sink, lines) < 1
        data = b""
        while len(data) < sum(map(len, lines)):
            data += reader.recv(1 << 20)
        assert data == b"".join(lines)


SERVICE = """
import os, sys, time
from framework.observability.logging import configure_logging, get_logger
configure_logging(format="json")
log = get_logger("app")
for number in range(4000):
    log.info("line", number=number, text="x" * 900)
print("done", file=sys.stderr, flush=True)
sys.stdin.readline()
log.info("last")
"""


def test_a_reader_stopped_by_a_signal_does_not_stop_the_writer() -> None:
    """`cat` is stopped by SIGSTOP and goes on with SIGCONT; what it saw is complete and counted."""
    writer = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    reader = subprocess.Popen(["cat"], stdin=writer.stdout, stdout=subprocess.PIPE)
    assert writer.stdout
    assert writer.stdin
    assert writer.stderr
    assert reader.stdout
    writer.stdout.close()
    try:
        reader.send_signal(signal.SIGSTOP)
        assert writer.stderr.readline() == b"done\n"  # it did not freeze
        reader.send_signal(signal.SIGCONT)
        lines: list[dict[str, Any]] = []
        while not lines or lines[-1]["event"] != "log lines dropped":
            lines.append(json.loads(reader.stdout.readline()))
        writer.stdin.write(b"go on\n")
        writer.stdin.close()
        last = json.loads(reader.stdout.readline())
        assert writer.wait(10) == 0
    finally:
        writer.kill()
        reader.kill()
        writer.wait()
        reader.wait()
        reader.stdout.close()
        writer.stderr.close()
    assert last["event"] == "last"
    dropped = lines.pop()["dropped"]
    assert [line["number"] for line in lines] == list(range(4000 - dropped))
    assert dropped > 1000
