"""The bench of one worker under load."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from load.bench import generator
from load.bench.client import is_complete
from load.bench.server import (
    BARS,
    HARDENED,
    OBSERVED,
    OWN,
    REFERENCE,
    STOCK_WORKER,
    Server,
    Setup,
    build_rows,
    fetch,
    find_added,
    measure_servers,
)

WRK_REPORT = """Running 2s test @ http://127.0.0.1:8000/json
  1 threads and 32 connections
  84060 requests in 2.10s, 12.18MB read
Requests/sec:  40028.57
"""


@pytest.fixture
def own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take our own client, whatever the machine has."""
    monkeypatch.setattr(shutil, "which", lambda name: None)


@pytest.mark.timeout(90)
@pytest.mark.usefixtures("own_client")
def test_all_servers_answer_and_are_measured() -> None:
    setups = (REFERENCE, OWN, OBSERVED)
    samples = measure_servers(setups, turns=1, seconds=0.2)
    assert list(samples) == [setup.name for setup in setups]
    for ((rate, cpu),) in samples.values():
        assert rate > 0
        assert cpu is None or cpu > 0
    assert len(build_rows(samples)) == 1 + len(setups)


@pytest.mark.timeout(60)
def test_a_server_that_does_not_start_is_reported_with_its_log(tmp_path: Path) -> None:
    server = Server(Setup("broken", "load.bench.served:missing", STOCK_WORKER), tmp_path / "broken")
    try:
        with pytest.raises(RuntimeError, match=r"(?s)broken answers None.*missing"):
            server.wait_until_ready()
    finally:
        server.stop()


def test_the_added_cost_is_taken_from_cpu_time_where_it_is_known() -> None:
    samples: dict[str, list[tuple[float, float | None]]] = {
        OWN.name: [(20_000.0, 40.0)],
        OBSERVED.name: [(10_000.0, 55.0)],
    }
    assert find_added(samples) == 15.0


def test_the_added_cost_is_taken_from_the_rates_elsewhere() -> None:
    samples: dict[str, list[tuple[float, float | None]]] = {
        OWN.name: [(20_000.0, None)],
        OBSERVED.name: [(10_000.0, None)],
    }
    assert find_added(samples) == pytest.approx(50.0)


def test_ratios_are_paired_turn_by_turn() -> None:
    samples: dict[str, list[tuple[float, float | None]]] = {
        REFERENCE.name: [(100.0, None), (10.0, None), (100.0, None)],
        OWN.name: [(90.0, None), (9.0, None), (90.0, None)],
    }
    assert build_rows(samples)[2] == [OWN.name, "90", "0.90x", "-"]


@pytest.mark.parametrize(
    ("hardened", "own", "verdicts"),
    [
        (100.0, 95.0, ["PASS", "PASS"]),
        (99.0, 95.0, ["FAIL", "PASS"]),
        (100.0, 94.0, ["PASS", "FAIL"]),
    ],
)
def test_the_protocol_and_the_application_have_a_bar_each(
    hardened: float, own: float, verdicts: list[str]
) -> None:
    samples: dict[str, list[tuple[float, float | None]]] = {
        REFERENCE.name: [(100.0, None)],
        HARDENED.name: [(hardened, None)],
        OWN.name: [(own, None)],
    }
    judged = [bar.judge(samples) for bar in BARS]
    assert [line.split()[0] for _, line in judged] == verdicts
    assert [met for met, _ in judged] == [verdict == "PASS" for verdict in verdicts]


def test_the_report_of_wrk_is_read() -> None:
    assert generator.parse_wrk(WRK_REPORT) == (84060, 2.1)


@pytest.mark.parametrize(
    "complaint", ["Non-2xx or 3xx responses: 7", "Socket errors: connect 0, read 3"]
)
def test_an_error_that_wrk_saw_is_an_error(complaint: str) -> None:
    with pytest.raises(RuntimeError, match=complaint):
        generator.parse_wrk(f"{WRK_REPORT}  {complaint}\n")


def test_a_report_that_is_none_is_refused() -> None:
    with pytest.raises(RuntimeError, match="not understood"):
        generator.parse_wrk("wrk: command not found")


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", False),
        (b"HTTP/1.1 200 OK\r\ncontent-le", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_a_response_is_counted_when_all_of_it_has_come(response: bytes, *, expected: bool) -> None:
    assert is_complete(response) is expected


def test_nothing_answers_at_a_port_that_nobody_listens_on() -> None:
    assert fetch("http://127.0.0.1:9/") is None
