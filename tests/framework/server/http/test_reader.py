"""What cannot be told apart over a socket: where the packets end."""

from __future__ import annotations

import pytest

from framework.server.http.limits import HttpLimits
from framework.server.http.reader import RequestHead, RequestReader
from framework.server.http.refusals import RefusedError

CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


class Sink:
    def __init__(self) -> None:
        self.body = b""
        self.ended = 0

    def begin_request(self, head: RequestHead) -> None:
        pass

    def add_body(self, data: bytes) -> None:
        self.body += data

    def end_request(self) -> None:
        self.ended += 1

    def leave_http(self, head: RequestHead, rest: bytes) -> None:
        raise AssertionError(rest)


def build_reader(**limits: int) -> tuple[RequestReader, Sink]:
    sink = Sink()
    return RequestReader(HttpLimits(**limits), sink), sink


def test_small_chunks_are_no_credit_for_a_long_extension_later() -> None:
    reader, sink = build_reader(chunk_overhead=1000)
    reader.feed(CHUNKED)
    reader.feed(b"1\r\nx\r\n" * 1000)
    assert len(sink.body) == 1000
    reader.feed(b"1;" + b"e" * 900)
    with pytest.raises(RefusedError, match="extensions"):
        reader.feed(b"e" * 900)


def test_many_small_chunks_are_no_overhead() -> None:
    reader, sink = build_reader(chunk_overhead=100)
    reader.feed(CHUNKED)
    for _ in range(100):
        reader.feed(b"1\r\nx\r\n" * 50)
    reader.feed(b"0\r\n\r\n")
    assert (len(sink.body), sink.ended) == (5000, 1)


def test_chunks_before_it_in_the_packet_are_no_overhead() -> None:
    request = CHUNKED + b"1770\r\n" + bytes(6000) + b"\r\n0\r\n\r\n"
    for cut in (3000, 5990):
        reader, sink = build_reader(chunk_overhead=100)
        reader.feed(request + request[:-cut])
        reader.feed(request[-cut:])
        assert (len(sink.body), sink.ended) == (12000, 2)


@pytest.mark.parametrize("cut", range(len(CHUNKED)))
def test_a_long_extension_is_refused_wherever_the_header_is_cut(cut: int) -> None:
    reader, _ = build_reader(chunk_overhead=100)
    reader.feed(CHUNKED[:cut]) if cut else None
    with pytest.raises(RefusedError, match="extensions"):
        reader.feed(CHUNKED[cut:] + b"3;" + b"e" * 1000 + b"\r\nabc\r\n0\r\n\r\n")


def test_fields_are_counted_as_they_come() -> None:
    reader, _ = build_reader(header_count=10)
    with pytest.raises(RefusedError, match="too many header fields"):
        reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 11)


def test_a_body_is_measured_by_what_has_come_lately() -> None:
    reader, _ = build_reader(body_grace_seconds=2, body_rate=100)
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")

    def wait(*packets: bytes) -> bool:
        for packet in packets:
            reader.feed(packet)
        reader.seconds += 1
        return reader.is_body_slow()

    assert [wait(b"x" * 5000), wait()] == [False, False]
    assert [wait(b"x" * 150), wait(b"x" * 50)] == [False, False]
    assert [wait(b"x" * 150), wait(b"x" * 49)] == [False, True]
