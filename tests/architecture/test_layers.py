"""Who imports whom: the listing of the house, checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.architecture import layers, listing
from tests.architecture.sources import Source, Violation, read_sources

SOURCES = read_sources("framework", "app")
MODULES = frozenset(source.module for source in SOURCES)


def check(source: Source, modules: frozenset[str]) -> Iterator[Violation]:
    """Apply every rule that looks at one file."""
    return itertools.chain(
        layers.find_upward_imports(source, modules),
        layers.find_framework_to_app(source),
        layers.find_slice_crossings(source, modules),
        layers.find_routing_in_middleware(source),
        layers.find_testclient_imports(source, modules),
        layers.find_foreign_imports(source),
    )


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.path)
def test_a_module_imports_what_its_place_in_the_house_allows(source: Source) -> None:
    violations = [str(violation) for violation in check(source, MODULES)]
    assert not violations, "\n" + "\n".join(violations)


def test_no_import_cycle_exists() -> None:
    violations = [str(violation) for violation in layers.find_cycles(SOURCES)]
    assert not violations, "\n" + "\n".join(violations)


def test_the_scan_saw_the_house() -> None:
    assert {"framework.applications", "framework.routing.router", "app.main"} <= MODULES


# Each row: a rule broken on line 2 of a module, and words of the message that names it.
BROKEN = [
    ("framework.requests", "import framework.responses", "not listed above framework.requests"),
    ("framework.requests", "from framework.routing import Router", "framework.routing, which"),
    ("framework.responses.base", "from framework.responses import files", "responses.files, which"),
    ("framework.types", "import framework.server.worker", "framework.server.worker, which"),
    ("framework.surprise", "import json", "framework.surprise is not in the listing"),
    ("framework.requests", "import framework.surprise", "imports framework.surprise, which"),
    ("framework.server.worker", "from app.settings import Settings", "framework imports app"),
    ("framework.server.worker", "import app", "the framework imports app"),
    ("app.hello.routes", "from app.system import routes", "imports slice app.system"),
    ("app.settings", "import app.hello.routes", "imports slice app.hello"),
    ("app.hello.jobs", "from app.jobs.worker import JobWorker", "imports slice app.jobs"),
    ("app.hello.routes", "import dbos", "imports dbos"),
    ("app.problems", "from app.jobs.store import Jobs", "app.jobs.store, which is not listed"),
    ("framework.middleware.cors", "from framework.routing import Route", "middleware imports"),
    ("framework.middleware.cors", "from framework import routing", "middleware imports"),
    ("framework.testclient.client", "from framework.requests import Request", "may use L0"),
    ("framework.requests", "import httpx2", "allowed here: anyio, msgspec"),
    ("framework.requests", "import starlette.requests", "another framework: starlette.requests"),
    ("app.main", "from fastapi import FastAPI", "imports another framework: fastapi"),
    ("framework.observability.logging", "from litestar import get", "another framework: litestar"),
    ("app.settings", "import structlog", "third-party modules allowed here: none"),
]
HOUSE = frozenset(
    {
        "framework",
        "framework.requests",
        "framework.responses",
        "framework.responses.base",
        "framework.responses.files",
        "framework.routing",
        "framework.routing.router",
        "framework.surprise",
        "framework.middleware",
        "framework.middleware.cors",
        "framework.server.worker",
        "framework.testclient.client",
        "app",
        "app.settings",
        "app.main",
        "app.system",
        "app.system.routes",
        "app.hello",
        "app.hello.routes",
        "app.hello.jobs",
        "app.jobs",
        "app.jobs.definition",
        "app.jobs.engine",
        "app.jobs.states",
        "app.jobs.store",
        "app.jobs.worker",
    }
)


@pytest.mark.parametrize(("module", "statement", "message"), BROKEN)
def test_a_forbidden_import_is_reported_with_file_and_line(
    module: str, statement: str, message: str
) -> None:
    path = module.replace(".", "/") + ".py"
    source = Source(module, path, f'"""Doc."""\n{statement}\n')
    reports = [str(violation) for violation in check(source, HOUSE)]
    assert any(message in report for report in reports), reports
    assert all(report.startswith((f"{path}:2: ", f"{path}:1: ")) for report in reports)


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("framework.responses.base", "import json\nimport anyio\nimport msgspec.json\n"),
        ("framework.responses", "from framework.responses.base import Response\n"),
        ("framework.routing.router", "from framework.middleware import Middleware\n"),
        ("framework.testclient.client", "import httpx2\nfrom framework.types import Scope\n"),
        ("framework.server.worker", "from uvicorn_worker import UvicornWorker\n"),
        ("app.hello.routes", "from app.settings import Settings\nfrom app.hello import routes\n"),
        ("app.hello.jobs", "import dbos\nfrom app.jobs.definition import job\n"),
        ("app.hello.jobs", "from app.jobs.engine import PROGRESS\n"),
        ("app.hello.routes", "import app.jobs.states\nfrom app.jobs.store import Jobs\n"),
        ("app.main", "from app.hello import routes\nfrom app.system import routes as more\n"),
        ("framework.requests", "from framework import __version__\n"),
        ("framework.types", "if TYPE_CHECKING:\n    from framework.requests import Request\n"),
    ],
)
def test_an_allowed_import_is_not_reported(module: str, text: str) -> None:
    source = Source(module, "x.py", text)
    assert [str(violation) for violation in check(source, HOUSE)] == []


def test_a_cycle_is_reported_with_the_whole_chain() -> None:
    sources = [
        Source("framework.server.a", "a.py", "import framework.server.b\n"),
        Source("framework.server.b", "b.py", "\nfrom framework.server import c\n"),
        Source("framework.server.c", "c.py", "from framework.server.a import name\n"),
        Source("framework.server.d", "d.py", "import framework.server.a\n"),
    ]
    reports = [str(violation) for violation in layers.find_cycles(sources)]
    assert reports[0] == (
        "a.py:1: import cycle: framework.server.a -> framework.server.b -> "
        "framework.server.c -> framework.server.a"
    )
    assert [report.partition(":")[0] for report in reports] == ["a.py", "b.py", "c.py"]


def test_a_named_module_is_ranked_before_the_wildcard_of_its_package() -> None:
    specification = listing.find_rank("framework.middleware")
    implementation = listing.find_rank("framework.middleware.cors")
    assert specification is not None
    assert implementation is not None
    assert specification < implementation
    assert listing.find_rank("framework.nowhere") is None


def test_the_listing_names_each_module_once() -> None:
    assert len(set(listing.LISTING)) == len(listing.LISTING)
