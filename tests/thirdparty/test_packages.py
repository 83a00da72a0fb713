"""Packages written for Starlette run on the framework, and so does what its documentation shows.

The checks run in `.venv-thirdparty`, once on each library: what they expect is what Starlette does,
but for the checks of a difference.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.thirdparty import alias, environment

CHECKS = Path(__file__).with_name("checks")
RUN_TIMEOUT_SECONDS = 120


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the environment, which is made when it is not there; CI cannot skip this."""
    try:
        return environment.install()
    except RuntimeError as exc:
        pytest.skip(str(exc))


@pytest.mark.timeout(environment.INSTALL_TIMEOUT_SECONDS + RUN_TIMEOUT_SECONDS)
@pytest.mark.parametrize("library", [alias.ALIAS, alias.FRAMEWORK])
# sentry-sdk patches classes for good: its checks have a process of their own.
@pytest.mark.parametrize("chosen", ["not sentry", "check_sentry", "check_fastapi_sentry"])
def test_the_checks_pass(python: Path, library: str, chosen: str) -> None:
    command = [str(python), "-m", "pytest", "-c", str(CHECKS / "pytest.ini"), "--rootdir=."]
    command += ["-p", "tests.thirdparty.plugin", "--quiet", "-rf", "-k", chosen, str(CHECKS)]
    done = subprocess.run(
        command,
        check=False,
        cwd=environment.ROOT,
        env={**os.environ, "SLIPWAY_CHECKED_LIBRARY": library, "PYTEST_ADDOPTS": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_TIMEOUT_SECONDS,
    )
    assert done.returncode == 0, done.stdout
