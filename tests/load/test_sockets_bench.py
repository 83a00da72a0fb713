"""`python -m load.bench sockets`: its servers, and what it says about the figures."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from load.bench.sockets import (
    BARE,
    OWN,
    STALLED_BAR_MS,
    SYSTEMS,
    build_bars,
    read_memory_kib,
    start_workers,
)
from load.bench.sockets_client import abort, count_echoes, measure_late, open_echoing


async def echo_for(port: int, seconds: float) -> tuple[int, float]:
    """Return what two clients echo in a time."""
    clients = await open_echoing(port, 2)
    count, taken = await count_echoes(clients, seconds)
    assert count == sum(client.count for client in clients)
    abort(clients)
    return count, taken


@pytest.mark.parametrize("system", [BARE, OWN])
def test_a_server_echoes(tmp_path: Path, system: str) -> None:
    with start_workers(tmp_path, system, 1) as (port, pids):
        count, seconds = asyncio.run(echo_for(port, 1))
        assert asyncio.run(read_memory_kib(pids)) > 0
    assert count > 0
    assert seconds >= 1


def test_the_neighbours_of_a_stalled_reader_are_measured(tmp_path: Path) -> None:
    with start_workers(tmp_path, OWN, 1, 64 * 1024) as (port, _):
        late = asyncio.run(measure_late(port, 5, 20, 100))
    assert len(late) == 5 * 20


def test_what_is_slower_than_promised_is_told() -> None:
    echoes = {system: [(10.0, 1.0)] for system in SYSTEMS} | {OWN: [(9.0, 1.0)]}
    assert all(met for met, _ in build_bars(echoes, STALLED_BAR_MS - 1, {}))
    echoes[OWN] = [(10.6, 1.0)]
    bars = build_bars(echoes, STALLED_BAR_MS, {OWN: 2.0, "starlette": 1.0})
    assert [met for met, _ in bars] == [False] * 6
