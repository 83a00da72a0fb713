"""Hostile bytes on a real socket: each file of `http1/` is an attack and the answers it has to get.

`send` is a list of texts (Latin-1) and of `{"repeat": ..., "times": n}`. `expect` has the `statuses` of
the answers (several that are allowed for one answer when the case says 400 or 501), and what the
application must have understood. `stock` are the answers of uvicorn's own protocol, where it has the
hole: that the attack is one there is tested, too. The other parser that can be chosen, zttp, gives the
same answers; those it gives otherwise, or none, are in `http1_zttp.json` with the reason.
"""

from __future__ import annotations

import json
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
    build_zttp,
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
# What the other parser answers otherwise, and why it may.
ZTTP = json.loads((Path(__file__).parent / "http1_zttp.json").read_text())
# The head of the first frame of HTTP/2 that is not empty.
SETTINGS = b"\x00\x00\x1e\x04"
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
    check_answer(case["expect"], hardened.exchange(*map(expand, case["send"])))
    assert read_responses(hardened.exchange(END))[0][0] == 200


def check_answer(expected: dict[str, Any], data: bytes) -> None:
    responses = read_responses(data)
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
    http = build_zttp(first_byte_seconds=2, header_seconds=2)
    with serve(HeaderGuard(echo, HttpLimits()), http) as running:
        yield running


@pytest.mark.parametrize("name", sorted(CASES.keys() - ZTTP.keys()))
def test_the_other_parser_gives_the_same_answer(name: str, zttp: Running) -> None:
    check_answer(CASES[name]["expect"], zttp.exchange(*map(expand, CASES[name]["send"])))
    assert read_responses(zttp.exchange(END))[0][0] == 200


@pytest.mark.parametrize("name", ZTTP)
def test_the_other_parser_gives_another_answer(name: str, zttp: Running) -> None:
    data = zttp.exchange(*map(expand, CASES[name]["send"]))
    if data[:3] == SETTINGS[:3]:
        assert ZTTP[name]["statuses"] == []
    else:
        statuses = [status for status, _, _ in read_responses(data)]
        assert statuses == ZTTP[name]["statuses"] * ZTTP[name].get("times", 1)
    assert read_responses(zttp.exchange(END))[0][0] == 200
