"""Hostile HTTP/2 on a real socket, as `HTTP=zttp` reads it: each file of `http2/` is an attack.

`send` is a list of frames (kind, flags, stream, and the payload in hexadecimal digits) and of groups of
them that are sent so many `times`, each time on a stream that is `step` higher. `expect` has what comes
back: the `error` of the GOAWAY with which the connection ends, the codes of streams that are reset, or the
statuses of responses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from framework.server.http.guard import HeaderGuard
from framework.server.http.limits import HttpLimits
from tests.corpus.attacks import load_cases
from tests.framework.server.http.h2 import (
    DATA,
    GOAWAY,
    HEADERS,
    PREFACE,
    RST_STREAM,
    ask,
    build,
    read_until,
    split,
)
from tests.framework.server.http.serving import Running, build_zttp, echo, serve

CASES = load_cases("http2")
NO_ERROR = 0


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    http = build_zttp(first_byte_seconds=1)
    with serve(HeaderGuard(echo, HttpLimits()), http, timeout_keep_alive=1) as server:
        yield server


def expand(items: list[dict[str, Any]], offset: int = 0) -> bytes:
    parts = []
    for item in items:
        if "frames" in item:
            times, step = item["times"], item.get("step", 0)
            parts += [expand(item["frames"], offset + number * step) for number in range(times)]
            continue
        stream = item["stream"] + offset if item["stream"] else 0
        parts.append(build(item["kind"], item["flags"], stream, bytes.fromhex(item["payload"])))
    return b"".join(parts)


@pytest.mark.parametrize("name", CASES)
def test_an_attack_is_answered_and_the_next_client_served(name: str, running: Running) -> None:
    expected = CASES[name]["expect"]
    # The GOAWAY of the client lets the server close when all is answered.
    data = running.exchange(PREFACE, expand(CASES[name]["send"]), build(GOAWAY, payload=bytes(8)))
    frames = split(data)

    errors = [frame.error for frame in frames if frame.kind == GOAWAY]
    assert errors == [expected.get("error", NO_ERROR)]
    if "error" not in expected:
        resets = [frame.error for frame in frames if frame.kind == RST_STREAM]
        assert resets == expected.get("resets", [])
        statuses = [frame.status for frame in frames if frame.kind == HEADERS]
        assert statuses == expected.get("statuses", [])
    if "absent_fields" in expected:
        body = b"".join(frame.payload for frame in frames if frame.kind == DATA)
        names = {name for name, _ in json.loads(body)["fields"]}
        assert not names & set(expected["absent_fields"])
    with running.connect() as client:
        client.sendall(PREFACE + ask(1))
        assert read_until(client, HEADERS)[-1].kind in {HEADERS, DATA}
