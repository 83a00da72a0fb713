"""What holds for every test: backends, no blocking calls, no skipped tests in CI."""

from __future__ import annotations

import functools
import gc
import mimetypes
import os
from collections.abc import Generator, Iterator
from typing import Any, Literal, TypeAlias

import pytest
from blockbuster import BlockBuster, blockbuster_ctx
from hypothesis import HealthCheck, settings

import app
import framework
from framework.testclient import TestClient
from tests.clients import ClientFactory

Backend: TypeAlias = tuple[Literal["asyncio", "trio"], dict[str, Any]]

IN_CI = os.environ.get("CI", "").lower() in {"1", "true"}

# Random inputs differ from run to run on a developer's machine and are the same in CI, where a
# red build has to be reproducible. Deadlines are off: a shared machine makes them a coin toss.
settings.register_profile(
    "local", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("ci", settings.get_profile("local"), max_examples=150, derandomize=True)
settings.load_profile("ci" if IN_CI else "local")


# As an `App` does when it is made; many tests do without one.
mimetypes.init()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
        pytest.param(("trio", {}), id="trio"),
    ],
)
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """Run every async test on asyncio and on trio."""
    backend: Backend = request.param
    return backend


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """Fail a test in which our code blocks the event loop (asyncio only: a limit of the tool)."""
    with blockbuster_ctx([framework, app]) as guard:
        yield guard


@pytest.fixture(scope="module", autouse=True)
def old_objects() -> None:
    """Let collections of a module pass by what is older: a collection of all takes up to a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def client_factory(anyio_backend: Backend) -> ClientFactory:
    """Build test clients whose applications run on the backend under test."""
    name, options = anyio_backend
    return functools.partial(TestClient, backend=name, backend_options=options)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skipped test is a failed test: what is not run there is run nowhere."""
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} is skipped in CI: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """In CI a module that skips itself is a failure too."""
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} is skipped in CI: {_reason(report.longrepr)}"
    return report


def _reason(longrepr: object) -> str:
    return longrepr[2] if isinstance(longrepr, tuple) else str(longrepr)
