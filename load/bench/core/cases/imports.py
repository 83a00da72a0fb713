"""Start-up: what importing the core costs a fresh process."""

from __future__ import annotations

from typing import Final

from load.bench.core.calls import Program
from load.bench.core.case import Case
from load.bench.core.kit import LIBRARIES, Kit
from load.bench.measurements import Measurement

IMPORT_BAR_MS: Final = 60


async def import_core(kit: Kit) -> Measurement:
    """`applications`, `routing` and `responses`, with all that they need, from cached bytecode."""
    library = LIBRARIES[kit.subject]
    modules = ", ".join(f"{library}.{name}" for name in ("applications", "routing", "responses"))
    program = f"import time; t = time.process_time_ns(); import {modules}; "
    program += "print((time.process_time_ns() - t) / 1e3)"
    measured = Program("-c", program, bytecode=kit.make_folder())
    await measured.run(0)
    return measured


CASES: Final = (
    Case(
        "import of applications, routing, responses",
        import_core,
        at_most=IMPORT_BAR_MS,
        unit="ms",
        every=3,
    ),
)
