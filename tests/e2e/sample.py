"""A small application that shows what its worker is doing, and fails when it is told to."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from framework.observability.health import readiness
from framework.observability.metrics import Counter, Gauge
from framework.types import Receive, Scope, Send

FOLDER = Path(os.environ.get("SAMPLE_FOLDER", "."))

if (FOLDER / "fail-import").exists():
    raise ImportError("the sample was told not to load")

answers = Counter("sample_answers", "Answers given.")
alive = Gauge("sample_alive", "Workers that live.", multiprocess_mode="livesum")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5)
    if scope["path"] == "/endless":
        await asyncio.sleep(3600)
    answers.inc()
    body = json.dumps(
        {
            "slot": int(os.environ["SLIPWAY_WORKER_SLOT"]),
            "workers": int(os.environ["SLIPWAY_WORKERS"]),
            "pid": os.getpid(),
            "readiness": readiness.state,
        }
    ).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    if (FOLDER / "fail-startup").exists():
        await send({"type": "lifespan.startup.failed", "message": "Traceback: of many lines"})
        raise ConnectionError("the database is away")
    alive.set(1)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    (FOLDER / f"shutdown-{os.getpid()}").write_text(readiness.state, encoding="utf-8")
    await send({"type": "lifespan.shutdown.complete"})
