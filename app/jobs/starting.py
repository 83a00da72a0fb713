"""Functions with which requests begin the jobs; without the library that executes them."""

from __future__ import annotations

from typing import Final

from app.jobs.store import Jobs

COUNT: Final = "count"


async def start_count(jobs: Jobs, total: int) -> str:
    """Enqueue a count; return the id of the job."""
    return await jobs.enqueue(COUNT, total)
