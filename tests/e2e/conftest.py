"""What the tests of the running service share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.browser import Browser, find_browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    command = find_browser()
    if command is None:
        pytest.skip(
            "no Chromium here; install it to run these tests (Debian: apt install chromium)"
        )
    with Browser(command, tmp_path_factory.mktemp("profile")) as running:
        yield running
