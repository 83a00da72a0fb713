"""The dispatch bench as a whole, and its environment of peers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import venv
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from load.bench import peers
from load.bench.__main__ import RUNS, main, parse_options
from load.bench.cases import list_cases
from load.bench.controller import DISPATCH, FRAMEWORKS, PEERS, Plan, Worker, measure

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENT = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)


def read_pins(path: Path) -> dict[str, str]:
    return dict(REQUIREMENT.findall(path.read_text(encoding="utf-8")))


@pytest.mark.timeout(90)
def test_a_quick_run_leaves_a_document_and_a_picture(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "load.bench", "--quick", "--only=slipway,bare"]
    result = subprocess.run(
        [*command, f"--output={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=80,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "dispatch.json").read_text(encoding="utf-8"))
    assert list(document["figures"]) == ["slipway", "bare"]
    assert set(document["figures"]["slipway"]) == {case.name for case in list_cases(own=True)}
    assert set(document["figures"]["bare"]) == {case.name for case in list_cases(own=False)}
    for figures in document["figures"].values():
        assert all(figure["median"] > 0 for figure in figures.values())
    ET.fromstring((tmp_path / "dispatch.svg").read_text(encoding="utf-8"))
    assert "last of 10000 routes against first of 10" in result.stdout


@pytest.mark.timeout(90)
def test_a_peer_is_measured_by_the_same_controller(capfd: pytest.CaptureFixture[str]) -> None:
    results = measure({"starlette": Path(sys.executable)}, Plan(rounds=1, batch_seconds=0.0001))
    assert set(results.samples["starlette"]) == {case.name for case in list_cases(own=False)}
    assert results.versions["starlette"]["version"] == read_pins(peers.LOCK)["starlette"]


@pytest.mark.timeout(60)
def test_a_framework_that_does_not_start_ends_the_run_with_one_clear_error() -> None:
    worker = Worker(DISPATCH, "no_such_framework", Path(sys.executable))
    try:
        with pytest.raises(RuntimeError, match="'no_such_framework' ended"):
            worker.wait_until_ready()
    finally:
        worker.stop()


def test_a_missed_bar_fails_only_a_strict_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUNS, None, lambda options: False)
    assert main([]) == 0
    assert main(["--strict"]) == 2


def test_a_run_that_cannot_be_made_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> Path:
        raise RuntimeError("no network")

    monkeypatch.setattr("load.bench.__main__.install", refuse)
    assert main([]) == 1
    assert capsys.readouterr().err == "load.bench: no network\n"


@pytest.mark.parametrize("arguments", [["--only", "django"], ["--rounds", "0"]])
def test_an_option_that_cannot_work_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        parse_options(arguments)
    assert exit_info.value.code == 2
    assert arguments[0] in capsys.readouterr().err or "django" in arguments


def test_a_full_run_compares_all_frameworks_in_at_least_15_rounds() -> None:
    assert parse_options([]).frameworks == list(FRAMEWORKS)
    assert Plan().rounds >= 15


def test_the_peers_are_pinned_with_hashes_and_without_an_address() -> None:
    text = peers.LOCK.read_text(encoding="utf-8")
    pins = read_pins(peers.LOCK)
    wanted = read_pins(peers.LOCK.with_name("peers.in"))
    assert set(PEERS) <= set(wanted)
    assert wanted.items() <= pins.items()
    assert "://" not in text
    for block in re.split(r"\n(?=[a-z])", text):
        assert "--hash=sha256:" in block


def test_the_peers_run_on_what_the_service_runs_on() -> None:
    service = read_pins(ROOT / "requirements-dev.lock")
    bench = read_pins(peers.LOCK)
    wanted = read_pins(peers.LOCK.with_name("peers.in"))
    shared = wanted.keys() & service.keys()
    assert {"anyio", "httpx2", "msgspec", "python-multipart", "uvloop"} <= shared
    assert {name: bench[name] for name in shared} == {name: service[name] for name in shared}


def test_the_environment_is_made_anew_when_the_lock_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, stamp = tmp_path / "peers.lock", tmp_path / "installed"
    lock.write_text("falcon==1\n", encoding="utf-8")
    monkeypatch.setattr(peers, "LOCK", lock)
    monkeypatch.setattr(peers, "STAMP", stamp)
    assert not peers.is_installed()
    stamp.write_text(peers._stamp_text(), encoding="utf-8")
    assert peers.is_installed()
    lock.write_text("falcon==2\n", encoding="utf-8")
    assert not peers.is_installed()


def test_a_failed_installation_names_the_way_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **options: object) -> None:
        raise subprocess.CalledProcessError(1, "pip")

    monkeypatch.setattr(peers, "STAMP", tmp_path / "installed")
    monkeypatch.setattr(venv, "create", lambda *args, **options: None)
    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(RuntimeError, match="--only slipway,bare"):
        peers.install()
    assert not (tmp_path / "installed").exists()
