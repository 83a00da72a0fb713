"""The cases, one module a subject: each has `CASES`.

Another subject is another module here and a line in `MODULES`. What a case builds may be anything
with `async def run(seconds) -> float`: it may start a server, too, and leave its end to `kit.stack`.
"""

from __future__ import annotations

from typing import Final

from load.bench.core.case import Case
from load.bench.core.cases import (
    endpoints,
    forms,
    imports,
    middleware,
    observability,
    requests,
    responses,
    routing,
    testclient,
    websockets,
)

MODULES: Final = (
    responses,
    endpoints,
    requests,
    forms,
    middleware,
    routing,
    websockets,
    testclient,
    imports,
    observability,
)


def list_cases() -> list[Case]:
    """List all cases in the order of the table."""
    return [case for module in MODULES for case in module.CASES]
