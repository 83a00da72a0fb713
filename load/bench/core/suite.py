"""What the measuring process builds for the core suite."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

from load.bench.core.cases import list_cases
from load.bench.core.kit import Kit
from load.bench.measurements import Prepared

OWN: Final = "slipway"


async def prepare(subject: str, rows: Sequence[str], stack: AsyncExitStack) -> Prepared:
    """Build, check and warm up the rows of one library.

    Raises:
        RuntimeError: It gives a wrong answer; the message names the row.
    """
    is_own = subject == OWN
    prepared = Prepared({"version": "" if is_own else importlib.metadata.version(subject)})
    kit = Kit(subject, stack)
    for case in list_cases():
        if (rows and case.name not in rows) or (case.is_own and not is_own):
            continue
        try:
            prepared.measurements[case.name] = await case.build(kit)
        except Exception as error:
            raise RuntimeError(f"row {case.name!r} of {subject}: {error}") from error
        prepared.every[case.name] = case.every
    return prepared
