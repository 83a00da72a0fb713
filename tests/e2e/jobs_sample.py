"""A service that enqueues jobs, and the jobs that its workers execute.

`python -m tests.e2e.jobs_sample` is a worker with these jobs besides those of the service.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from dbos import DBOS

from app.jobs.demo import count
from app.jobs.starting import start_count
from app.jobs.store import Jobs
from app.jobs.worker import JobWorker
from framework.applications import App
from framework.observability.health import readiness
from framework.observability.logging import configure_logging
from framework.observability.middleware import ObservabilityMiddleware
from framework.requests import Request
from framework.responses import JSONResponse, Response
from framework.routing import Route

URL = os.environ.get("JOBS_URL", "")
FOLDER = Path(os.environ.get("SAMPLE_FOLDER", "."))
MAX_DEATHS = 1


def note(name: str) -> int:
    """Write down that something was done; return how often it has been."""
    with (FOLDER / f"{name}.notes").open("a") as file:
        file.write(f"{os.getpid()}\n")
    return len((FOLDER / f"{name}.notes").read_text().split())


@DBOS.step(retries_allowed=True, max_attempts=3, interval_seconds=0.1, backoff_rate=2.0)
async def fail_twice() -> str:
    """Fail, fail, succeed."""
    if note("attempts") < 3:
        raise ConnectionError("try again")
    return "at last"


@DBOS.workflow(name="flaky")
async def flaky() -> str:
    """Succeed in the third attempt."""
    return await fail_twice()


@DBOS.workflow(name="hopeless")
async def hopeless() -> None:
    """Fail."""
    raise LookupError("nothing helps")


@DBOS.workflow(name="deadly", max_recovery_attempts=MAX_DEATHS)
async def deadly() -> None:
    """Kill the worker, whichever it is."""
    note("deaths")
    os.kill(os.getpid(), signal.SIGKILL)


async def start(request: Request[Any]) -> Response:
    """Enqueue the job of the path."""
    jobs: Jobs = request.app.state.jobs
    name = request.path_params["name"]
    if name == "count":
        job_id = await start_count(jobs, int(request.query_params["total"]))
    else:
        job_id = await jobs.enqueue(
            name,
            delay=float(request.query_params.get("delay", 0)),
            key=request.query_params.get("key"),
        )
    return JSONResponse({"id": job_id}, 202)


async def show(request: Request[Any]) -> Response:
    """Tell how far a job is."""
    state = await request.app.state.jobs.read(request.path_params["job_id"])
    return JSONResponse(state, 404 if state is None else 200)


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Hold the jobs open."""
    app.state.jobs = Jobs(URL)
    readiness.set_ready()
    yield
    await app.state.jobs.close()


application = App(
    routes=[Route("/start/{name}", start), Route("/jobs/{job_id}", show)], lifespan=lifespan
)
app = ObservabilityMiddleware(application)

if __name__ == "__main__":
    configure_logging(level="INFO", format="json")
    JobWorker(URL, jobs=(count, flaky, hopeless, deadly), concurrency=2, drain_seconds=8).run()
