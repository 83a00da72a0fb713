"""The log of a real service in every phase of its life: each line is JSON, each request one line."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.service import GUNICORN, Service, wait_for

LOGGED = (*GUNICORN, "tests.e2e.logged:app")
KEYS = {"timestamp", "level", "logger", "event", "pid"}
ACCESS_KEYS = {
    *KEYS,
    *("method", "path", "route", "status", "duration_ms", "ttfb_ms", "bytes", "client"),
    *("request_id", "trace_id", "span_id", "worker_slot"),
}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with Service(tmp_path, LOGGED) as service:
        yield service.wait_until_up()


def exchange(port: int, *requests: bytes) -> bytes:
    """Send everything at once; return what comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"".join(requests))
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
        return answer


def build(target: str, *fields: str, method: str = "GET") -> bytes:
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", *fields, "", ""]
    return "\r\n".join(lines).encode()


def lines_of(service: Service, **fields: object) -> list[dict[str, Any]]:
    return [event for event in service.events if fields.items() <= event.items()]


def wait_for_line(service: Service, **fields: object) -> dict[str, Any]:
    # The last line may be on its way; a line that is not JSON fails later, when all are read.
    def find() -> bool:
        with contextlib.suppress(json.JSONDecodeError):
            return bool(lines_of(service, **fields))
        return False

    wait_for(find, f"a line with {fields}")
    return lines_of(service, **fields)[0]


def test_a_request_that_the_application_answers_is_one_line(service: Service) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    fields = ("X-Request-ID: one", f"traceparent: {parent}", "Connection: close")
    exchange(service.port, build("/items/7?token=secret", *fields))

    line = wait_for_line(service, event="request", request_id="one")
    assert line.keys() == ACCESS_KEYS
    assert (line["method"], line["path"], line["status"]) == ("GET", "/items/7", 200)
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["route"] == "/items/{id}"
    assert 0 <= line["ttfb_ms"] <= line["duration_ms"]
    assert "secret" not in service.output


@pytest.mark.parametrize(
    ("request_bytes", "status", "method", "path"),
    [
        (b"BAD\r\n\r\n", 400, None, None),
        (b"\x16\x03\x01\x02\x00", 400, None, None),
        (b"GET /a%20b?token=secret HTTP/1.1\r\n\r\n", 400, "GET", "/a b"),
        (build("/x", "Host: again"), 400, "GET", "/x"),
        (build("/" + "x" * 9000), 414, "GET", None),
        (build("/y", "X: " + "y" * 9000, method="PUT"), 431, "PUT", "/y"),
        (build("/z", "Transfer-Encoding: gzip", method="POST"), 501, "POST", "/z"),
    ],
)
def test_a_request_that_the_server_refuses_is_one_line_of_the_same_shape(
    service: Service, request_bytes: bytes, status: int, method: str | None, path: str | None
) -> None:
    assert exchange(service.port, request_bytes).startswith(b"HTTP/1.1 %d " % status)

    line = wait_for_line(service, event="request", status=status)
    assert line.keys() == {*ACCESS_KEYS, "reason"}
    assert line["method"] == method
    assert path is None or line["path"] == path
    assert (line["client"], line["route"]) == ("127.0.0.1", "__unmatched__")
    assert len(lines_of(service, event="request")) == 1
    assert "secret" not in service.output


def test_a_flood_of_refused_requests_is_bounded(service: Service) -> None:
    begin = time.monotonic()
    for _ in range(400):
        exchange(service.port, b"BAD\r\n\r\n")
    windows = 1 + int((time.monotonic() - begin) / 10)
    service.signal(signal.SIGTERM)
    assert service.wait() == 0
    lines = lines_of(service, event="request")
    written = [line for line in lines if "suppressed" not in line]
    left_out = sum(line["suppressed"] for line in lines if "suppressed" in line)
    assert len(written) <= 2 * 10 * windows
    assert len(written) + left_out == 400


def test_a_body_that_comes_too_slowly_is_one_line_with_408(tmp_path: Path) -> None:
    with Service(tmp_path, LOGGED, {"BODY_TIMEOUT": "1"}) as service:
        service.wait_until_up()
        answer = exchange(
            service.port, build("/read", "Content-Length: 9000", method="POST"), b"slow"
        )
        assert answer.startswith(b"HTTP/1.1 408 ")
        line = wait_for_line(service, event="request")
        assert (line["status"], line["method"], line["path"]) == (408, "POST", "/read")
        time.sleep(0.1)
        assert len(lines_of(service, event="request")) == 1


def test_a_client_that_leaves_is_one_line_with_499(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(build("/slow", "X-Request-ID: gone"))
        wait_for_line(service, event="slow", request_id="gone")
    line = wait_for_line(service, event="request", request_id="gone")
    assert line["status"] == 499
    assert len(lines_of(service, request_id="gone")) == 2


def test_a_failure_is_one_line_with_500_and_one_with_the_exception(service: Service) -> None:
    exchange(service.port, build("/fail", "X-Request-ID: bad", "Connection: close"))
    assert wait_for_line(service, event="request", request_id="bad")["status"] == 500
    time.sleep(0.1)
    assert len(lines_of(service, request_id="bad")) == 2
    [failure] = lines_of(service, event="unhandled exception", request_id="bad")
    [access] = lines_of(service, event="request", request_id="bad")
    assert failure["exception"][0]["message"] == "broken with password=[redacted]"
    assert failure["exception"][0]["frames"][-1]["function"] == "fail"
    assert failure["trace_id"] == access["trace_id"]


def test_the_context_reaches_everything_a_request_starts_and_nothing_else(
    service: Service,
) -> None:
    pipelined = [build("/spread", f"X-Request-ID: pipe-{number}") for number in range(4)]
    exchange(service.port, *pipelined, build("/items/1", "Connection: close"))

    wanted = sorted(["bound", "in a thread", "in a task", "in the background", "request"])
    for number in range(4):
        request_id = f"pipe-{number}"
        wait_for_line(service, event="in the background", request_id=request_id)
        lines = lines_of(service, request_id=request_id)
        assert sorted(line["event"] for line in lines) == wanted
        assert len({(line["trace_id"], line["span_id"]) for line in lines}) == 1
        assert {line.get("user") for line in lines} == {request_id}
    last = wait_for_line(service, event="request", path="/items/1")
    assert "user" not in last
    assert len(last["request_id"]) == 32


def test_every_line_of_traffic_crash_reload_timeout_and_stop_is_json(tmp_path: Path) -> None:
    env = {"WORKER_TIMEOUT": "3", "GRACEFUL_TIMEOUT": "2", "DRAIN_SECONDS": "0"}
    with Service(tmp_path, LOGGED, env) as service:
        service.wait_until_up()
        for path in ("/items/1", "/nowhere", "/fail", "/warn", "/thread", "/task", "/unraisable"):
            exchange(service.port, build(path, "Connection: close"))
        for event in ("uncaught exception", "unraisable exception"):
            wait_for_line(service, event=event)
        wait_for(lambda: "was never retrieved" in service.output, "the lost task is reported")
        pid = wait_for_line(service, event="request", path="/items/1")["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: service.count("was sent SIGKILL") == 1, "the crash is reported")
        exchange(service.port, build("/hang", "Connection: close"))
        wait_for(lambda: service.count("WORKER TIMEOUT") == 1, "the worker is taken for dead")
        up = service.count("serves")
        service.signal(signal.SIGHUP)
        wait_for(lambda: service.count("serves") >= up + 2, "the reload is over")
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
        events = service.events
    assert all(event.keys() >= KEYS for event in events)
    assert {"py.warnings", "asyncio", "framework.errors"} <= {event["logger"] for event in events}
    assert not any("Traceback" in event["event"] for event in events)


@pytest.mark.parametrize("failure", ["fail-import", "fail-startup"])
def test_every_line_of_a_failed_start_is_json(tmp_path: Path, failure: str) -> None:
    (tmp_path / failure).touch()
    with Service(tmp_path, (*GUNICORN, "tests.e2e.sample:app")) as service:
        assert service.wait() == 3
        critical = lines_of(service, level="critical")
        assert len(critical) == 1
        assert critical[0]["exception"][0]["frames"]


def test_probes_that_succeed_can_be_left_out(tmp_path: Path) -> None:
    with Service(tmp_path, GUNICORN, {"LOG_PROBES": "false"}) as service:
        service.wait_until_up()
        assert service.get("/livez")[0] == 200
        assert service.get("/readyz")[0] == 200
        assert service.get("/version")[0] == 200
        wait_for_line(service, event="request", path="/version")
        assert len(lines_of(service, event="request")) == 1


def test_a_stopped_log_reader_does_not_stop_the_service(tmp_path: Path) -> None:
    """The reader of the pipe is stopped by a signal; requests are answered all the same."""
    pipe, read = tmp_path / "pipe", tmp_path / "read.txt"
    os.mkfifo(pipe)
    with read.open("wb") as file:
        reader = subprocess.Popen(["cat", str(pipe)], stdout=file)
    command = ("sh", "-c", f"exec {shlex.join(LOGGED)} > {shlex.quote(str(pipe))} 2>&1")
    try:
        with Service(tmp_path, command) as service:
            wait_for(lambda: "is up" in read.read_text(), "the service is up")
            reader.send_signal(signal.SIGSTOP)
            # More than the pipe (64 KiB) and what each of two workers keeps (1 MiB) can hold.
            slowest = 0.0
            for _ in range(80):
                begin = time.monotonic()
                exchange(service.port, *[build("/shout")] * 9, build("/shout", "Connection: close"))
                slowest = max(slowest, time.monotonic() - begin)
            assert slowest < 5
            reader.send_signal(signal.SIGCONT)
            wait_for(lambda: "log lines dropped" in read.read_text(), "the loss is said")
            exchange(service.port, build("/items/9", "Connection: close"))
            wait_for(lambda: "/items/9" in read.read_text(), "lines come again")
            service.signal(signal.SIGTERM)
            assert service.wait() == 0
            assert reader.wait(10) == 0
    finally:
        reader.kill()
        reader.wait()
    lines = [json.loads(line) for line in read.read_text().splitlines()]
    dropped = sum(line["dropped"] for line in lines if line["event"] == "log lines dropped")
    shouted = sum(line["event"] == "shout" or line.get("path") == "/shout" for line in lines)
    assert shouted + dropped == 2 * 800
