"""The promises of the root conftest, each proved by a test run inside a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_pytest(folder: Path, test_file: str, *, ci: str) -> str:
    """Run one test file under our conftest in a process of its own and return its output."""
    conftest = folder / "conftest.py"
    conftest.write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"), "utf-8")
    (folder / "test_inner.py").write_text(test_file, "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rA", str(folder)]
    done = subprocess.run(
        [*command, "--rootdir", str(folder), "-c", "/dev/null"],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "CI": ci, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


SKIPPING = """
import pytest

def test_skips():
    pytest.skip("no database here")

@pytest.mark.skipif(True, reason="never")
def test_marked():
    pass

@pytest.mark.xfail(strict=True)
def test_expected_failure():
    assert False
"""
SKIPPING_MODULE = """
import pytest

pytest.skip("nothing here", allow_module_level=True)
"""


def test_a_skipped_test_fails_in_ci(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, SKIPPING, ci="true")
    # One is skipped when it runs, the other by its mark, before that.
    assert "1 failed, 1 xfailed, 1 error" in output
    assert "is skipped in CI: Skipped: no database here" in output


def test_a_skipped_test_is_only_skipped_at_home(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, SKIPPING, ci="")
    assert "2 skipped, 1 xfailed" in output


def test_a_module_that_skips_itself_fails_in_ci(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, SKIPPING_MODULE, ci="1")
    assert "1 error" in output
    assert "is skipped in CI: Skipped: nothing here" in output


BLOCKING = """
import time
from framework.applications import App
from framework.responses import PlainTextResponse
from framework.routing import Route
import pytest

async def endpoint(request):
    time.sleep(0.01)
    return PlainTextResponse("slept")

def test_blocks(client_factory, anyio_backend):
    client = client_factory(App(routes=[Route("/", endpoint)]))
    if anyio_backend[0] == "trio":
        assert client.get("/").text == "slept"
        return
    with pytest.raises(Exception, match="Blocking call to time.sleep"):
        client.get("/")
"""


def test_a_blocked_loop_is_an_error_under_the_framework(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, BLOCKING, ci="true")
    assert "2 passed" in output, output


BACKENDS = """
import pytest, sniffio

@pytest.mark.anyio
async def test_backend(anyio_backend_name):
    assert sniffio.current_async_library() == anyio_backend_name
"""


def test_async_tests_run_on_asyncio_and_on_trio(tmp_path: Path) -> None:
    output = run_pytest(tmp_path, BACKENDS, ci="true")
    assert "[asyncio]" in output
    assert "[trio]" in output
    assert "2 passed" in output, output
