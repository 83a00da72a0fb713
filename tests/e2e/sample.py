"""A small application that shows what its worker is doing, and fails when it is told to."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import time
from pathlib import Path

from framework.observability.health import readiness
from framework.observability.metrics import Counter, Gauge
from framework.types import Receive, Scope, Send

FOLDER = Path(os.environ.get("SAMPLE_FOLDER", "."))

if (FOLDER / "fail-import").exists():
    raise ImportError("the sample was told not to load")

IMPORTED = {"imported_by": os.getpid(), "frozen_at_import": gc.get_freeze_count()}

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
    if scope["path"] == "/block":
        time.sleep(float(scope["query_string"]))  # noqa: ASYNC251 - this is what it is for
    answers.inc()
    body = json.dumps(_describe(scope)).encode()
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": body.decode()})
        await send({"type": "websocket.close", "code": 1000})
        return
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _describe(scope: Scope) -> dict[str, object]:
    return {
        "slot": int(os.environ["SLIPWAY_WORKER_SLOT"]),
        "workers": int(os.environ["SLIPWAY_WORKERS"]),
        "pid": os.getpid(),
        "readiness": readiness.state,
        "frozen": gc.get_freeze_count(),
        "client": scope["client"],
        "scheme": scope["scheme"],
        "version": scope["http_version"],
        "names": [name.decode() for name, _ in scope["headers"]],
        **IMPORTED,
    }


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    if (FOLDER / "fail-startup").exists():
        await send({"type": "lifespan.startup.failed", "message": "Traceback: of many lines"})
        raise ConnectionError("the database is away")
    alive.set(1)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if (FOLDER / "hang-shutdown").exists():
        await asyncio.sleep(3600)
    (FOLDER / f"shutdown-{os.getpid()}").write_text(readiness.state, encoding="utf-8")
    await send({"type": "lifespan.shutdown.complete"})
