"""`python -m load` against a real server on a real socket."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from load.bench.server import fetch
from tests.ports import find_free_port

ROOT = Path(__file__).resolve().parents[2]
PATIENT = ("--max-p95-ms", "60000")


@contextmanager
def running(target: str, log: Path) -> Iterator[str]:
    port = find_free_port()
    command = [sys.executable, "-m", "uvicorn", target, f"--port={port}", "--no-access-log"]
    with log.open("wb") as output, subprocess.Popen(command, cwd=ROOT, stdout=output) as server:
        try:
            host = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 15
            while fetch(f"{host}/livez") is None:
                assert time.monotonic() < deadline, "the server does not start"
                assert server.poll() is None, "the server has ended"
                time.sleep(0.05)
            yield host
        finally:
            server.terminate()


def run_load(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "load", *options]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=45, check=False
    )


def brief(host: str, report: Path) -> tuple[str, ...]:
    return ("--host", host, "--users", "10", "--duration", "1.5", "--report", str(report))


@pytest.mark.timeout(60)
def test_a_healthy_service_passes_and_every_persona_has_worked(tmp_path: Path) -> None:
    report = tmp_path / "made" / "report.html"
    with running("app.main:app", tmp_path / "log") as host:
        result = run_load(*brief(host, report), *PATIENT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "PASS" in result.stdout
    assert "FAIL" not in result.stderr
    assert "MonkeyPatchWarning" not in result.stderr
    assert f"report: {report}" in result.stdout
    assert report.read_text(encoding="utf-8").lstrip().startswith("<!")
    for endpoint in ("GET /hello/{name}", "POST /hello ", "GET /livez", "POST /hello, "):
        assert endpoint in result.stdout


@pytest.mark.timeout(60)
def test_each_fault_of_a_service_is_named_in_a_line_and_fails_the_run(tmp_path: Path) -> None:
    with running("tests.load.faulty:app", tmp_path / "log") as host:
        options = ("--max-p95-ms", "250", "--min-rps", "100000")
        result = run_load(*brief(host, tmp_path / "report.html"), *options)
    assert result.returncode == 1
    assert "PASS" not in result.stdout
    failures = [line for line in result.stderr.splitlines() if line.startswith("FAIL")]
    assert any("x GET /hello/{name}: status 500 instead of 200" in line for line in failures)
    assert any("x POST /hello: the answer does not carry" in line for line in failures)
    assert any(line.startswith("FAIL  GET /livez: 95 %") for line in failures)
    assert any("(at least 100000)" in line for line in failures)
    assert (tmp_path / "report.html").exists()


@pytest.mark.timeout(60)
def test_without_a_service_one_line_says_how_to_start_it() -> None:
    result = run_load("--host", f"http://127.0.0.1:{find_free_port()}")
    assert result.returncode == 1
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert "no service answers at http://127.0.0.1:" in line
    assert "`make run`" in line


@pytest.mark.timeout(60)
def test_the_service_is_looked_for_on_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    port = find_free_port()
    monkeypatch.setenv("PORT", str(port))
    assert f"no service answers at http://127.0.0.1:{port} " in run_load().stderr


@pytest.mark.timeout(60)
def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with running("app.main:app", tmp_path / "log") as host:
        result = run_load(*brief(host, tmp_path / "log" / "report.html"))
    assert (result.returncode, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "cannot be written" in line


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("option", "value"), [("--users", "0"), ("--duration", "-1"), ("--host", "127.0.0.1:8000")]
)
def test_an_option_that_cannot_work_is_refused(option: str, value: str) -> None:
    result = run_load(option, value)
    assert result.returncode == 2
    assert option in result.stderr
    assert value in result.stderr
