"""Hostile bytes on a real socket: each file of `http1/` is an attack and the answers it has to get.

`send` is a list of texts (Latin-1) and of `{"repeat": ..., "times": n}`. `expect` has the `statuses` of
the answers (several that are allowed for one answer when the case says 400 or 501), and what the
application must have understood. `stock` are the answers of uvicorn's own protocol, where it has the
hole: that the attack is one there is tested, too. The other parser that can be chosen, zttp, refuses what
is refused here, if not always with the same status; what it does otherwise is in `ZTTP`.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from framework.server.http.guard import HeaderGuard
from framework.server.http.limits import HttpLimits
from tests.framework.server.http.serving import (
    STOCK,
    Running,
    build_protocol,
    echo,
    read_responses,
    serve,
)

CASES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "http1").glob("*.json"))
}
HOLES = {name: case for name, case in CASES.items() if "stock" in case}
REFUSALS = {400, 408, 413, 414, 431, 501, 505}
# Statuses of zttp, by case, and why they may be so.
ZTTP: dict[str, list[int]] = {
    "a11_trailers": [400],  # refuses fields that may not be trailers
    "a15_h2c_in_1_0": [200],  # ignores the wish, as it should
    "a15_upgrade_in_1_0": [403],  # the guard's only answer to a handshake
    "a16_pipelined": [200] * 5000,  # keeps bytes, not requests, and answers them one by one
    "a17_one_blank_line": [400],
    "a17_unknown_method": [200, 200],  # has no list of methods; the application answers 405
    "b02_absolute_same": [400],  # the guard sees no path
}
# What it never answers: it has no deadline for a header, and waits with a handshake for its body.
ZTTP_WAITS = {"a15_websocket_with_body", "a21_ssh", "a21_tls"}
# And what is no attack on it: it speaks HTTP/2.
ZTTP_SPEAKS = {"a21_h2_preface"}
END = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def hardened() -> Iterator[Running]:
    with serve(echo, build_protocol()) as running:
        yield running


@pytest.fixture(scope="module")
def stock() -> Iterator[Running]:
    with serve(echo, STOCK) as running:
        yield running


def expand(piece: Any) -> bytes:
    if isinstance(piece, str):
        return piece.encode("latin-1")
    return bytes(expand(piece["repeat"])) * int(piece["times"])


@pytest.mark.parametrize("name", CASES)
def test_an_attack_gets_its_answer_and_the_next_client_is_served(
    name: str, hardened: Running
) -> None:
    case = CASES[name]
    expected = case["expect"]
    responses = read_responses(hardened.exchange(*map(expand, case["send"])))
    statuses = [status for status, _, _ in responses]

    if "max_responses" in expected:
        assert 0 < len(responses) <= expected["max_responses"]
        assert statuses[-1] in REFUSALS
    elif set(expected["statuses"]) < REFUSALS and len(expected["statuses"]) > 1:
        assert len(statuses) == 1
        assert statuses[0] in expected["statuses"]
    else:
        assert statuses == expected["statuses"]
    for status, headers, body in responses:
        if status in REFUSALS:
            assert headers["connection"] == "close"
            assert "date" in headers
        elif body:
            check_understood(json.loads(body), expected)
    assert read_responses(hardened.exchange(END))[0][0] == 200


def check_understood(seen: dict[str, Any], expected: dict[str, Any]) -> None:
    assert seen["path"] != "/smuggled"
    names = [name for name, _ in seen["fields"]]
    assert not set(names) & set(expected.get("absent_fields", ()))
    for key in ("path", "body_bytes"):
        if key in expected:
            assert seen[key] == expected[key]


@pytest.mark.parametrize("name", HOLES)
def test_the_stock_protocol_has_the_hole(name: str, stock: Running) -> None:
    case = HOLES[name]
    data = stock.exchange(*map(expand, case["send"]), END)
    responses = read_responses(data)

    assert [status for status, _, _ in responses][: len(case["stock"]["statuses"])] == case[
        "stock"
    ]["statuses"]
    if absent := case["expect"].get("absent_fields"):
        names = [name for name, _ in json.loads(responses[0][2])["fields"]]
        assert set(names) & set(absent)


@pytest.fixture(scope="module")
def zttp() -> Iterator[Running]:
    if importlib.util.find_spec("zttp") is None and not os.environ.get("CI"):
        pytest.skip("zttp is not installed")
    with serve(HeaderGuard(echo, HttpLimits()), "zttp", http2=True) as running:
        yield running


@pytest.mark.parametrize("name", sorted(CASES.keys() - ZTTP_WAITS - ZTTP_SPEAKS))
def test_the_other_parser_refuses_the_same(name: str, zttp: Running) -> None:
    case = CASES[name]
    expected = case["expect"]
    responses = read_responses(zttp.exchange(*map(expand, case["send"])))
    statuses = [status for status, _, _ in responses]

    if name in ZTTP:
        assert statuses[: len(ZTTP[name])] == ZTTP[name]
    elif set(expected["statuses"]) <= REFUSALS:
        assert len(statuses) == 1
        assert statuses[0] in REFUSALS
    else:
        assert [status in REFUSALS or status for status in statuses] == [
            status in REFUSALS or status for status in expected["statuses"]
        ]
    for status, _, body in responses:
        if status == 200 and body and name not in ZTTP:
            check_understood(json.loads(body), expected)
    assert read_responses(zttp.exchange(END))[0][0] == 200
