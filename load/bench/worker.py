"""The measuring process: one subject of one suite, driven batch by batch from the controller.

    python -m load.bench.worker load.bench.dispatch starlette

The suite is a module with `async def prepare(subject, rows, stack) -> Prepared`. The process speaks
lines of JSON on its standard input and output:

* out `{"ready": versions, "rows": {name: each how many rounds}}` once everything is built, started,
  checked and warmed up;
* in `{"row": name, "seconds": s}`, out `{"value": microseconds of one time}`;
* the end of the input ends the process.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any, TextIO

import uvloop

from load.bench.measurements import Prepared


async def serve(
    suite: str, subject: str, rows: Sequence[str], commands: TextIO, answers: TextIO
) -> None:
    """Build, check and warm up everything, then run batches until the input ends."""
    module = importlib.import_module(suite)
    async with AsyncExitStack() as stack:
        prepared: Prepared = await module.prepare(subject, rows, stack)
        # What exists now lives for the whole run: without this a full collection inside a batch
        # would be charged with walking ten thousand routes, which a service does not do either.
        gc.collect()
        gc.freeze()
        _write(answers, _introduce(prepared))
        # Reading blocks the loop on purpose: between two batches nothing must run.
        while line := commands.readline():
            command = json.loads(line)
            value = await prepared.measurements[command["row"]].run(command["seconds"])
            _write(answers, {"value": value})


def _introduce(prepared: Prepared) -> dict[str, Any]:
    versions = {
        "python": platform.python_version(),
        "uvloop": importlib.metadata.version("uvloop"),
        "msgspec": importlib.metadata.version("msgspec"),
    }
    rows = {name: prepared.every.get(name, 1) for name in prepared.measurements}
    return {"ready": {**prepared.versions, **versions}, "rows": rows}


def _write(stream: TextIO, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message) + "\n")
    stream.flush()


def main() -> None:
    """Run the process named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", help="name of the module")
    parser.add_argument("subject", help="the framework that is measured")
    parser.add_argument("rows", nargs="*", help="names of the rows; all of them when none is named")
    options = parser.parse_args()
    # A framework that prints must not get into the conversation: fd 1 becomes standard error.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    conversation: Coroutine[Any, Any, None] = serve(
        options.suite, options.subject, options.rows, sys.stdin, answers
    )
    uvloop.run(conversation)


if __name__ == "__main__":
    main()
