"""The job to copy: it counts, slowly, and tells how far it is."""

from __future__ import annotations

import asyncio
from typing import Final

from dbos import DBOS
from msgspec import Struct

from app.jobs.definition import job
from app.jobs.engine import PROGRESS
from app.jobs.starting import COUNT

STEP_SECONDS: Final = 0.25


class Progress(Struct):
    """How far the count is."""

    done: int
    total: int


@DBOS.step(retries_allowed=True, max_attempts=5, interval_seconds=0.5, backoff_rate=2.0)
async def take_step(number: int) -> int:
    """Do one part of the work.

    A step that has ended is on disk and is never done again. One that was interrupted is: what it does
    outside must bear being done twice. It is tried again when it fails, after longer and longer pauses.
    """
    await asyncio.sleep(STEP_SECONDS)
    return number + 1


@job(COUNT)
async def count(total: int) -> int:
    """Count to `total`. After a crash this function runs again and skips the steps that have ended."""
    done = 0
    while done < total:
        done = await take_step(done)
        await DBOS.set_event_async(PROGRESS, {"done": done, "total": total})
    return done
