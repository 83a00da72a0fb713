"""The parts of observability, each beside the row without it. Nothing in Starlette compares."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any, Final

from load.bench.core.case import Case
from load.bench.core.cases.responses import TEXT
from load.bench.core.exchange import Request, measure_request
from load.bench.core.kit import Kit
from load.bench.measurements import Measurement

OBSERVED_BAR_US: Final = 20
REQUEST_ID: Final = "observed: request id"


def configure(kit: Kit) -> None:
    """Write lines to the null device and metrics to files, as a worker does."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(kit.make_folder())
    null = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 -- closed with the kit
    kit.stack.callback(null.close)
    kit.load("observability.logging").configure_logging(format="json", stream=null)


async def observe(kit: Kit, *, access_log: bool, metrics: bool) -> Measurement:
    """The answer of the row `text`, with some of the parts around it."""
    configure(kit)
    response = kit.load("responses").PlainTextResponse

    async def endpoint(request: Any) -> Any:
        return response("Hello, world!")

    app = kit.load("observability.middleware").ObservabilityMiddleware(
        kit.build_app([kit.build_route(endpoint)]), access_log=access_log, metrics=metrics
    )
    return await measure_request(app, Request(), b"Hello, world!")


CASES: Final = (
    Case(
        REQUEST_ID,
        partial(observe, access_log=False, metrics=False),
        added_to=TEXT,
        is_own=True,
    ),
    Case(
        f"{REQUEST_ID}, access line",
        partial(observe, access_log=True, metrics=False),
        added_to=REQUEST_ID,
        is_own=True,
    ),
    Case(
        f"{REQUEST_ID}, metrics",
        partial(observe, access_log=False, metrics=True),
        added_to=REQUEST_ID,
        is_own=True,
    ),
    Case(
        "observed: all three",
        partial(observe, access_log=True, metrics=True),
        added_to=TEXT,
        at_most=OBSERVED_BAR_US,
        is_own=True,
    ),
)
