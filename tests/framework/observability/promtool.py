"""Prometheus's own check of the text that is scraped."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def check_exposition(text: str) -> None:
    """Have promtool parse the text and check names and units; skip the test without it."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is missing: apt-get install prometheus")
    done = subprocess.run(
        [promtool, "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
