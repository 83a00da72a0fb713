"""Print by how many MB the peak of this process's memory grows while it takes a large upload.

python -m load.bench.core.memory starlette
"""

from __future__ import annotations

import resource
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import uvloop

from load.bench.core.cases.forms import UPLOAD_MB, build_app, build_upload
from load.bench.core.exchange import Exchange
from load.bench.core.kit import Kit
from load.bench.exchange import Recorder

STATUS: Final = Path("/proc/self/status")
FIRST_MB: Final = 2  # enough to go to disk


def read_peak_mb() -> float:
    """Return the peak of the resident memory in MB.

    Linux tells it for this program alone. Elsewhere it may be that of the process that started it.
    """
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


async def upload(app: Any, megabytes: int) -> float:
    """Take one upload and return the growth of the peak; what the client sends is no part of it.

    Raises:
        RuntimeError: The answer is wrong.
    """
    exchange, recorder = Exchange(app, build_upload(megabytes)), Recorder()
    before = read_peak_mb()
    await exchange.run_once(recorder.send)
    if recorder.body != b"2 %d" % (megabytes * 1_000_000):
        raise RuntimeError(f"answer {recorder.body!r} to an upload of {megabytes} MB")
    return read_peak_mb() - before


async def measure(subject: str) -> float:
    """Return the growth of a large upload after a small one."""
    async with AsyncExitStack() as stack:
        app = build_app(Kit(subject, stack))
        await upload(app, FIRST_MB)
        return await upload(app, UPLOAD_MB)


if __name__ == "__main__":
    print(uvloop.run(measure(sys.argv[1])))
