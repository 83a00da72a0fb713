"""What holds for every check: which library `starlette` is, from before the first import to the end.

Loaded with `-p` by `test_packages.py`, in the environment of `packages.lock`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.thirdparty import alias

LIBRARY = os.environ["SLIPWAY_CHECKED_LIBRARY"]
if LIBRARY == alias.FRAMEWORK:
    alias.install()


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark of the checks that the real Starlette cannot pass."""
    config.addinivalue_line(
        "markers", "difference(reason): a row of 'Differences from Starlette', where this fails"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect the checks of a difference to fail on the real Starlette."""
    if LIBRARY == alias.FRAMEWORK:
        return
    for item in items:
        mark = item.get_closest_marker("difference")
        if mark is not None:
            item.add_marker(pytest.mark.xfail(reason=mark.args[0], strict=True))


@pytest.fixture(scope="session", autouse=True)
def _one_library() -> Iterator[None]:
    yield
    assert bool(alias.find_real_modules()) is (LIBRARY == alias.ALIAS), alias.find_real_modules()


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    """The event loop that the application under test runs on."""
    name: str = request.param
    return name
