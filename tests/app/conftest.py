"""The service inside a test, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.main import create_app
from app.settings import Settings
from framework.observability.health import readiness
from framework.observability.logging import configure_logging
from framework.observability.middleware import ObservabilityMiddleware
from framework.testclient import TestClient
from tests.clients import ClientFactory


@pytest.fixture(scope="session", autouse=True)
def _captured_log() -> None:
    """The application has opened the log when it was imported, before output was captured."""
    configure_logging(format="json")


@pytest.fixture(autouse=True)
def _new_life() -> Iterator[None]:
    """Readiness belongs to the process; each test begins with a process that has just started."""
    readiness.reset()
    yield
    readiness.reset()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        service_name="Testing",
        git_revision="3f9c1ab",
        max_body_bytes=1000,
        # A test that enqueues a job must not leave it for the service.
        jobs_url=f"sqlite:///{tmp_path / 'jobs.sqlite'}",
    )


@pytest.fixture
def client(client_factory: ClientFactory, settings: Settings) -> Iterator[TestClient]:
    """A client of the service as it is deployed, started up."""
    service = ObservabilityMiddleware(create_app(settings), metrics=False)
    with client_factory(service, raise_server_exceptions=False) as running:
        yield running
