"""The order of the house as data: a module imports only modules listed above it.

An entry is a module name, or a package followed by `.*` for all of its modules (their order among
each other is free, as long as no cycle appears). `app.*.jobs` is the module `jobs` of any slice.
A package whose modules are listed one by one comes after them: its `__init__` is the façade over
them.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

LEAVES: Final = (
    "framework",
    "framework.types",
    "framework.status",
    "framework.exceptions",
    "framework._defaults",
    "framework._callables",
    "framework.middleware",
)
CORE: Final = (
    *LEAVES,
    # L1, pure rules
    "framework._http.*",
    "framework._utils",
    "framework.convertors",
    "framework.concurrency",
    "framework.folders",
    "framework.background",
    "framework.tasks.*",
    # L2, data
    "framework.datastructures.state",
    "framework.datastructures.headers",
    "framework.datastructures.multidict",
    "framework.datastructures.url",
    "framework.datastructures.uploads",
    "framework.datastructures.values",
    "framework.datastructures",
    # L3, messages
    "framework._connection",
    "framework.formparsers.*",
    "framework.requests",
    "framework.responses.base",
    "framework.responses._watching",
    "framework.responses.streaming",
    "framework.responses._open_file",
    "framework.responses.files",
    "framework.responses.sse",
    "framework.responses",
    "framework.websockets._state",
    "framework.websockets._frames",
    "framework.websockets._queue",
    "framework.websockets._endings",
    "framework.websockets._buffers",
    "framework.websockets._iteration",
    "framework.websockets.closing",
    "framework.websockets.connection",
    "framework.websockets",
    # L4, behaviours
    "framework._exception_handler",
    "framework._websocket_session",
    "framework.authentication",
    "framework.rate_limits.*",
    "framework.middleware.*",
    "framework.staticfiles.*",
    "framework.templating",
    "framework.endpoints",
    "framework.config",
    # L5, routing
    "framework.routing.patterns",
    "framework.routing.tree",
    "framework.routing.urls",
    "framework.routing.lifespan",
    "framework.routing.refusals",
    "framework.routing.routes",
    "framework.routing.websockets",
    "framework.routing.hosts",
    "framework.routing.table",
    "framework.routing.redirects",
    "framework.routing.hidden",
    "framework.routing.router",
    "framework.routing.listing",
    "framework.routing",
    "framework.schemas",
    # L6, top
    "framework.applications",
)
BESIDE: Final = (
    "framework.testclient.*",
    "framework.channels.*",
    "framework.observability.*",
    "framework.server.*",
)
# What every slice may use of durable jobs.
JOBS: Final = (
    "app.jobs.definition",
    "app.jobs.engine",
    "app.jobs.states",
    "app.jobs.store",
)
APP: Final = (
    "app",
    "app.setting_rules",
    "app.settings",
    "app.problems",
    *JOBS,
    "app.*",
    "app.main",
    "app.work",
)
LISTING: Final = (*CORE, *BESIDE, *APP)

# Modules that only the named modules may import, whatever their place in the listing.
TESTCLIENT_MAY_IMPORT: Final = (*LEAVES, "framework.testclient.*")

# What may be imported besides the standard library and our own modules.
CORE_REQUIREMENTS: Final = frozenset({"anyio", "msgspec"})
REQUIREMENTS: Final = {
    # TypeVar with a default; in the standard library since 3.13, and needed by anyio before it.
    "framework._connection": frozenset({"anyio", "msgspec", "typing_extensions"}),
    # Each of them may be missing; "compression" is in the standard library since 3.14.
    "framework.middleware._codings": frozenset({"brotli", "compression", "zlib_ng", "zstandard"}),
    "framework.middleware._session_cookie": frozenset({"itsdangerous"}),
    "framework.middleware.opentelemetry": frozenset({"opentelemetry"}),
    "framework.rate_limits.redis": frozenset({"anyio", "redis"}),
    "framework.templating": frozenset({"anyio", "jinja2", "msgspec"}),
    "framework.testclient._httpx": frozenset({"httpx", "httpx2"}),
    "framework.testclient.*": frozenset({"anyio", "httpx2"}),
    "framework.channels.redis": frozenset({"anyio", "msgspec", "redis"}),
    "framework.observability.telemetry": frozenset({"anyio", "opentelemetry"}),
    "framework.observability.*": frozenset({"anyio", "msgspec", "prometheus_client", "structlog"}),
    # Loaded with `HTTP=zttp` only.
    "framework.server.http.zttp": frozenset({"uvicorn", "zttp"}),
    "framework.server.http.zttp_h2": frozenset({"uvicorn", "zttp"}),
    "framework.server.*": frozenset(
        {"anyio", "gunicorn", "httptools", "uvicorn", "uvicorn_worker", "uvloop", "websockets"}
    ),
    "app": frozenset(),
    "app.setting_rules": frozenset(),
    "app.settings": frozenset(),
    "app.problems": frozenset({"msgspec"}),
    "app.main": frozenset({"anyio", "msgspec", "structlog"}),
    "app.jobs.*": frozenset({"dbos", "msgspec", "sqlalchemy"}),
    # The durable jobs of a slice; apart, as web workers do not load the library.
    "app.*.jobs": frozenset({"anyio", "dbos", "msgspec", "prometheus_client", "structlog"}),
    "app.*": frozenset({"anyio", "msgspec", "prometheus_client", "structlog"}),
}
OTHER_FRAMEWORKS: Final = frozenset({"starlette", "fastapi", "litestar", "blacksheep", "falcon"})


def find_rank(module: str) -> int | None:
    """Return the place of a module in the listing, None when it is not listed.

    A name of its own beats the wildcard of its package.
    """
    for index, entry in enumerate(LISTING):
        if entry == module:
            return index
    for index, entry in enumerate(LISTING):
        if is_covered(module, entry):
            return index
    return None


def is_covered(module: str, entry: str) -> bool:
    """Say whether a listing entry names this module."""
    if not entry.endswith(".*"):
        return fnmatchcase(module, entry)
    package = entry.removesuffix(".*")
    return module == package or module.startswith(package + ".")


def is_core(module: str) -> bool:
    """Say whether the module belongs to L0-L6 of the framework."""
    rank = find_rank(module)
    return rank is not None and rank < len(CORE)


def find_requirements(module: str) -> frozenset[str]:
    """Return the third-party packages that the module may import."""
    for entry, allowed in REQUIREMENTS.items():
        if is_covered(module, entry):
            return allowed
    return CORE_REQUIREMENTS
